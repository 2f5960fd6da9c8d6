-- totals: the sum of what a hash counts.
local function total(hash)
  local sum = 0
  for _, n in ipairs(call('HVALS', hash)) do sum = sum + n end
  return sum
end
