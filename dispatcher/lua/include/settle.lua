-- settle: while the pool has room and a lane has both idle workers and ready work, admit the best of it.
-- Looks at state, not at events, so any script takes up what another left. Bounded: 32 steps, 64 runs; true when a
-- bound stopped it and somebody must call again.
-- include: rooms backlog counting
local STEPS, RUNS = 32, 64

-- Best class over the lanes with idle workers; `shared` when another of its priority waits beside it.
local function best_class(caller)
  local best, score, lane, second
  for _, name in ipairs(call('SMEMBERS', root .. ':idle')) do
    local row = call('ZRANGE', root .. ':ready:' .. name, 0, 1, 'WITHSCORES')
    for i = 1, #row, 2 do
      local class, rank = row[i], tonumber(row[i + 1])
      if not best or rank < score then
        if best ~= class then second = score end
        best, score, lane = class, rank, name
      elseif class == best then
        if caller and name == caller.lane then lane = name end
      elseif not second or rank < second then
        second = rank
      end
    end
  end
  local shared = second and math.floor(second / PRIORITY_STEP) == math.floor((score or 0) / PRIORITY_STEP)
  return best, lane, shared
end

local function admit_best(class, lane, shared, caller)
  -- here: admission
  local steps, runs = 0, 0
  while class do
    if steps == STEPS or runs == RUNS then
      push()
      return true
    end
    steps = steps + 1
    runs = runs + serve(class, lane, shared, RUNS - runs, caller)
    if pool_room() <= 0 then break end
    class, lane, shared = best_class(caller)
  end
  push()
  return false
end

local function settle(caller)
  local more = false
  if read_pool().resuming then
    -- here: resuming
    resume_some()
  end
  if call('EXISTS', root .. ':idle') == 1 and pool_room() > 0 then
    local class, lane, shared = best_class(caller)
    if class then more = admit_best(class, lane, shared, caller) end
  end
  write_depth()
  write_counts()
  return more
end
