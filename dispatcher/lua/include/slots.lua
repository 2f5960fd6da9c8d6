-- slots: scopes are sets of run ids, never counters. What a call releases leaves each set in one step, then wakes.
-- What it returned to the front of a bucket enters there in one step, too.
-- include: rooms

local function release_from(scope, id)
  local ids = released[scope]
  if ids then ids[#ids + 1] = id else released[scope] = {id} end
end

-- All but its place in its worker's hands.
local function release_scopes(id, bucket)
  for _, scope in ipairs(bucket.scopes) do release_from(scope, id) end
  touched_queues[bucket.queue] = true
  for _, key in ipairs(bucket.keys) do touched_keys[key] = true end
end

-- `worker` is the key of the set of runs it holds.
local function release(id, bucket, worker, facts)
  release_scopes(id, bucket)
  release_from(worker, id)
  if facts.suspended then
    -- here: suspending
    end_suspension(id, facts, bucket)
  end
end

local function flush_released()
  for bucket, members in pairs(returned) do call('ZADD', bucket.front, unpack(members)) end
  local before = {}
  for key in pairs(touched_keys) do before[key] = key_room(key) end
  for scope, ids in pairs(released) do
    local gone = call('ZREM', scope, unpack(ids))
    if counts[scope] then counts[scope] = counts[scope] - gone end
  end
  local open_queues, open_keys = {}, {}
  for name in pairs(touched_queues) do
    local queue = read_queue(name)
    if queue.out and queue_room(queue) > 0 then open_queues[#open_queues + 1] = queue end
  end
  for key in pairs(touched_keys) do
    if before[key] <= 0 and key_room(key) > 0 then open_keys[#open_keys + 1] = key end
  end
  if #open_queues + #open_keys > 0 then
    -- here: parking
    for _, queue in ipairs(open_queues) do ready_queue(queue) end
    for _, key in ipairs(open_keys) do wake_key(key) end
  end
  released, returned, touched_queues, touched_keys = {}, {}, {}, {}
end
