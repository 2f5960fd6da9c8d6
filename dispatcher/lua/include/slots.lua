-- slots: scopes are sets of run ids, never counters. What a call releases leaves each set in one step, then wakes.
local released, touched_queues, touched_keys = {}, {}, {}

local function release_from(scope, id)
  local ids = released[scope]
  if ids then ids[#ids + 1] = id else released[scope] = {id} end
end

-- `worker` is the key of the set of runs it holds.
local function release(id, bucket, worker)
  for _, scope in ipairs(bucket.scopes) do release_from(scope, id) end
  release_from(worker, id)
  touched_queues[bucket.queue] = true
  for _, key in ipairs(bucket.keys) do touched_keys[key] = true end
end

local function flush_released()
  local before = {}
  for key in pairs(touched_keys) do before[key] = key_room(key) end
  for scope, ids in pairs(released) do
    local gone = call('ZREM', scope, unpack(ids))
    if counts[scope] then counts[scope] = counts[scope] - gone end
  end
  for name in pairs(touched_queues) do
    local queue = read_queue(name)
    if queue.out and queue_room(queue) > 0 then ready_queue(queue) end
  end
  for key in pairs(touched_keys) do
    if before[key] <= 0 and key_room(key) > 0 then wake_key(key) end
  end
  released, touched_queues, touched_keys = {}, {}, {}
end
