-- counting: what became of a queue's runs since it was made, in `counts:<queue>`. Summed up in the call, then one
-- HINCRBY a field: what the transition did is counted with it, once, whatever dies afterwards.
-- `w` and `d` with a bound in ms are bars of histograms: waited before admission, ran until its end.
-- Chains and not tables: a table of bounds would be made anew in each call.
local function tally_of(queue)
  local tally = tallies[queue]
  if not tally then
    tally = {}
    tallies[queue] = tally
  end
  return tally
end

local function add(tally, word, by)
  tally[word] = (tally[word] or 0) + by
end

local function wait_bar(ms)
  if ms <= 10 then return 'w10' end
  if ms <= 50 then return 'w50' end
  if ms <= 100 then return 'w100' end
  if ms <= 500 then return 'w500' end
  if ms <= 1000 then return 'w1000' end
  if ms <= 5000 then return 'w5000' end
  if ms <= 15000 then return 'w15000' end
  if ms <= 60000 then return 'w60000' end
  if ms <= 300000 then return 'w300000' end
  if ms <= 900000 then return 'w900000' end
  return ms <= 3600000 and 'w3600000' or 'w'
end

local function duration_bar(ms)
  if ms <= 10 then return 'd10' end
  if ms <= 100 then return 'd100' end
  if ms <= 500 then return 'd500' end
  if ms <= 1000 then return 'd1000' end
  if ms <= 5000 then return 'd5000' end
  if ms <= 15000 then return 'd15000' end
  if ms <= 60000 then return 'd60000' end
  if ms <= 300000 then return 'd300000' end
  if ms <= 900000 then return 'd900000' end
  if ms <= 3600000 then return 'd3600000' end
  return ms <= 14400000 and 'd14400000' or 'd'
end

-- A run was admitted so long after it entered the backlog; `within` is the queue's target.
local function count_start(tally, ms, within)
  if ms < 0 then ms = 0 end
  add(tally, wait_bar(ms), 1)
  add(tally, 'waited', ms)
  if ms <= within then add(tally, 'in_time', 1) end
end

-- A run ended; one that waited ran for no time, whatever became of it before.
local function count_end(queue, facts, state)
  local tally = tally_of(queue)
  add(tally, state, 1)
  if not facts or facts.state == 'queued' or facts.state == 'scheduled' then return end
  local ms = math.max(0, now - (tonumber(facts.admitted) or now))
  add(tally, duration_bar(ms), 1)
  add(tally, 'ran', ms)
end

local function write_counts()
  for queue, tally in pairs(tallies) do
    local hash = root .. ':counts:' .. queue
    for word, by in pairs(tally) do
      if by > 0 then call('HINCRBY', hash, word, by) end
    end
  end
  tallies = {}
end
