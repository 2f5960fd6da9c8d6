-- counting: what became of a queue's runs since it was made, in `counts:<queue>`. Summed up in the call, then one
-- HINCRBY a field: what the transition did is counted with it, once, whatever dies afterwards.
-- `tallies` are words by queue, `arrivals` since when its runs waited that are admitted, `claims` since when those held
-- a slot that end: most of a call share an instant, so that what follows from it is worked out once.
local function tally_of(kind, queue)
  local tally = kind[queue]
  if not tally then
    tally = {}
    kind[queue] = tally
  end
  return tally
end

local function add(tally, word, by)
  tally[word] = (tally[word] or 0) + by
end

local function write_counts()
  if next(arrivals) or next(claims) then
    -- here: histograms
    count_times()
  end
  for queue, tally in pairs(tallies) do
    local hash = root .. ':counts:' .. queue
    for word, by in pairs(tally) do
      if by > 0 then call('HINCRBY', hash, word, by == 1 and '1' or by) end -- see now_text
    end
  end
  tallies, arrivals, claims = {}, {}, {}
end
