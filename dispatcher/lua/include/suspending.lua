-- suspending: a run that waits for others without slots is `suspended`; one that wants them back is in `resuming` too.
-- It stays in its worker's hands throughout, and its queue is not deleted.

local function mark_suspended(worker, id, bucket)
  call('ZADD', root .. ':suspended:worker:' .. worker.name, now_text, id)
  call('ZADD', root .. ':suspended:queue:' .. bucket.queue, now_text, id)
  call('HSET', root .. ':worker:' .. worker.name, 'suspended', 1)
  call('HSET', root .. ':run:' .. id, 'suspended', 1)
end

local function end_suspension(id, facts, bucket)
  local set = root .. ':suspended:worker:' .. facts.worker
  if call('ZREM', set, id) == 1 and counts[set] then counts[set] = counts[set] - 1 end
  if call('EXISTS', set) == 0 then call('HDEL', root .. ':worker:' .. facts.worker, 'suspended') end
  call('ZREM', root .. ':suspended:queue:' .. bucket.queue, id)
  call('HDEL', root .. ':run:' .. id, 'suspended')
  call('ZREM', root .. ':resuming', id)
  if call('EXISTS', root .. ':resuming') == 0 then call('HDEL', root, 'resuming') end
  facts.suspended = false
end
