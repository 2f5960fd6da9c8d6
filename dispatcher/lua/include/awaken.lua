-- awaken: a bucket that has runs may be reached; its class becomes ready with its first awake bucket.
-- include: rank
local function awaken(bucket)
  local queue = read_queue(bucket.queue)
  call('ZADD', root .. ':awake:' .. bucket.class, next_rank(), bucket.name)
  if call('ZADD', root .. ':classes:' .. bucket.queue, 0, bucket.class) == 1 and not queue.out then
    -- here: lanes
    ready(bucket.class, queue)
  end
end
