-- backlog: a bucket's stream, and `front` for runs that came back.
-- `depth` and `later` count a queue's queued and scheduled runs for people; nothing is decided by them but deleting.
local changes = {depth = {}, later = {}}

local function change(what, queue, by)
  changes[what][queue] = (changes[what][queue] or 0) + by
end

local function change_depth(queue, by)
  change('depth', queue, by)
end

local function write_depth()
  for what, queues_changed in pairs(changes) do
    local hash = root .. ':' .. what
    for queue, by in pairs(queues_changed) do
      if by ~= 0 and call('HINCRBY', hash, queue, by) == 0 then call('HDEL', hash, queue) end
    end
    changes[what] = {}
  end
end

-- Asked once a call, then known: what adds and takes keeps `bucket.empty` in step.
local function is_empty(bucket)
  if bucket.empty == nil then
    bucket.empty = call('EXISTS', bucket.front) == 0 and call('XLEN', bucket.stream) == 0
  end
  return bucket.empty
end

local function append(bucket, id)
  local was_empty = is_empty(bucket)
  local entry = call('XADD', bucket.stream, '*', 'i', id)
  bucket.empty = false
  change_depth(bucket.queue, 1)
  if was_empty then awaken(bucket) end
  return entry
end

-- Back in its old place: the score is the original entry, 12 bits of its sequence kept (exact until the year 2090).
local function put_front(bucket, record)
  local was_empty = is_empty(bucket)
  local score = (record.ms - 1600000000000) * 4096 + math.min(record.seq, 4095)
  call('ZADD', bucket.front, string.format('%.0f', score), record.id)
  bucket.empty = false
  change_depth(bucket.queue, 1)
  if was_empty then awaken(bucket) end
end

-- Take up to `n` ids off the head; the bucket stays where it is even when that empties it.
local function take(bucket, n)
  local ids = call('ZRANGE', bucket.front, 0, n - 1)
  if #ids > 0 then call('ZREM', bucket.front, unpack(ids)) end
  if #ids < n then
    local entries = {}
    for _, entry in ipairs(call('XRANGE', bucket.stream, '-', '+', 'COUNT', n - #ids)) do
      entries[#entries + 1] = entry[1]
      ids[#ids + 1] = entry[2][2]
    end
    if #entries > 0 then call('XDEL', bucket.stream, unpack(entries)) end
  end
  bucket.empty = nil
  change_depth(bucket.queue, -#ids)
  return ids
end

-- Take one run out of the middle; false when it is not there.
local function remove(bucket, record)
  local found = call('ZREM', bucket.front, record.id)
  if found == 0 then found = call('XDEL', bucket.stream, string.format('%.0f-%.0f', record.ms, record.seq)) end
  if found == 0 then return false end
  bucket.empty = nil
  change_depth(bucket.queue, -1)
  if is_empty(bucket) then leave(bucket) end
  return true
end
