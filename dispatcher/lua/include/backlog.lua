-- backlog: a bucket's stream, and `front` for runs that came back.
-- `depth` and `later` count a queue's queued and scheduled runs for people; nothing is decided by them but deleting.
-- include: awaken
local function change(what, queue, by)
  changes[what][queue] = (changes[what][queue] or 0) + by
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
  change('depth', bucket.queue, 1)
  if was_empty then awaken(bucket) end
  return entry
end
