-- parking: which buckets may be reached. A bucket with runs is either awake in its class or parked under one full key.
-- Rule W: a key that has room again wakes one waiter of each class.
-- Rule H: an awake bucket that leaves wakes, for each of its keys with room, the next waiter of its class.
-- include: rooms awaken lanes
local WAKE_INLINE = 32

local function asleep(bucket)
  local awake = root .. ':awake:' .. bucket.class
  if call('ZREM', awake, bucket.name) == 1 and call('EXISTS', awake) == 0 then
    call('ZREM', root .. ':classes:' .. bucket.queue, bucket.class)
    unready(bucket.class)
    return true
  end
  return false
end

local function unpark(key, class, name)
  local waiters = root .. ':waiters:' .. key .. '|' .. class
  if call('ZREM', waiters, name) == 0 then return false end
  call('ZREM', root .. ':parked', name)
  if call('EXISTS', waiters) == 0 then
    call('ZREM', root .. ':waiting:' .. key, class)
    if call('EXISTS', root .. ':waiting:' .. key) == 0 then call('ZREM', root .. ':waiting', key) end
  end
  return true
end

local function wake_waiter(key, class)
  local name = call('ZRANGE', root .. ':waiters:' .. key .. '|' .. class, 0, 0)[1]
  if not name then return end
  unpark(key, class, name)
  awaken(parse_bucket(name))
end

local function hand_over(bucket, except)
  for _, key in ipairs(bucket.keys) do
    if key ~= except and call('EXISTS', root .. ':waiting:' .. key) == 1 and key_room(key) > 0 then
      wake_waiter(key, bucket.class)
    end
  end
end

local function park(bucket, key)
  call('ZADD', root .. ':waiters:' .. key .. '|' .. bucket.class, next_rank(), bucket.name)
  call('ZADD', root .. ':waiting:' .. key, 0, bucket.class)
  call('ZADD', root .. ':waiting', 0, key)
  call('ZADD', root .. ':parked', 0, bucket.name)
  asleep(bucket)
  hand_over(bucket, key)
end

-- The bucket has no runs left: it leaves wherever it was.
local function leave(bucket)
  call('DEL', bucket.stream)
  for _, key in ipairs(bucket.keys) do
    if unpark(key, bucket.class, bucket.name) then return end
  end
  asleep(bucket)
  hand_over(bucket)
end

-- Rule W from `after` on; true when classes are left for a sweep.
local function wake_classes(key, after, most)
  local from = after == '' and '-' or '(' .. after
  local classes = call('ZRANGEBYLEX', root .. ':waiting:' .. key, from, '+', 'LIMIT', 0, most)
  for _, class in ipairs(classes) do wake_waiter(key, class) end
  return classes[#classes], #classes == most
end

local function wake_key(key)
  if call('EXISTS', root .. ':waiting:' .. key) == 0 then return end
  local last, more = wake_classes(key, '', WAKE_INLINE)
  if more then call('HSET', root .. ':sweeps', 'key ' .. key, last) end
end

-- The queue may be served again: its awake classes return to the lanes.
local function ready_classes(queue, after, most)
  local from = after == '' and '-' or '(' .. after
  local classes = call('ZRANGEBYLEX', root .. ':classes:' .. queue.name, from, '+', 'LIMIT', 0, most)
  for _, class in ipairs(classes) do ready(class, queue) end
  return classes[#classes], #classes == most
end

local function ready_queue(queue)
  call('HDEL', root .. ':queue:' .. queue.name, 'out')
  queue.out = false
  local last, more = ready_classes(queue, '', WAKE_INLINE)
  if more then call('HSET', root .. ':sweeps', 'queue ' .. queue.name, last) end
end

-- Reached while full or paused: out of every lane until `ready_queue`.
local function put_out(queue, class)
  if not queue.out then
    call('HSET', root .. ':queue:' .. queue.name, 'out', 1)
    queue.out = true
  end
  unready(class)
end
