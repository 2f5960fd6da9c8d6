-- histograms: how long runs waited before they were admitted, bars `w`, and how long after that they ended, bars `d`,
-- each with its bound in ms; without one, it is longer than all. metrics.py has the same bounds.
-- Chains and not tables, which would be made anew in each call.
-- include: counting
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

local function count_times()
  for queue, entered in pairs(arrivals) do
    local tally, within = tally_of(tallies, queue), read_queue(queue).within
    for at, runs in pairs(entered) do
      local ms = math.max(0, now - at)
      add(tally, wait_bar(ms), runs)
      add(tally, 'waited', ms * runs)
      if ms > within then add(tally, 'late', runs) end
    end
  end
  for queue, admitted in pairs(claims) do
    local tally = tally_of(tallies, queue)
    for at, runs in pairs(admitted) do
      local ms = math.max(0, now - (tonumber(at) or now))
      add(tally, duration_bar(ms), runs)
      add(tally, 'ran', ms * runs)
    end
  end
end
