-- violations: what was found to be wrong; with `repair` it is put right, and told as an event once.
local violations = {}

-- True when it is to be put right.
local function violated(what, word)
  violations[#violations + 1] = what
  violations[#violations + 1] = word
  if repair == 1 then event('violated', what, word) end
  return repair == 1
end
