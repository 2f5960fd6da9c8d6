-- snapshot: the pool as it is now, for metrics and for those that scale workers. Runs and buckets are not walked.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          first     int   place of the first queue that is told of, best priority first
--          most      int   queues told of, 500 at most
-- RETURNS  msgpack {now, pool, queues, workers}; or '' when there is no such pool
--          pool    {type, limit or '', paused, held, dead, orphaned, open sweeps, queues, queued, scheduled,
--          capacity}
--          queues  for each {name, settings {priority, limit, paused, target ms; '' none}, queued, held, suspended,
--          ms of the entry that waits longest or 0, counts {word, number, ...}, queued runs that keys hold back}
--          workers {live, silent, those looked at, draining, slots, slots used, ms unheard of; of those looked at}
-- FLAGS    no-writes
--
-- Reads only. `capacity` is that of the worker that joined last, 0 before the first. Workers: the 1,000 whose leases
-- end first. The entry that waits longest is exact in a queue whose runs have no labels and keys; else the oldest head
-- of some of its buckets: those whose turn is next, and one that is parked. What keys hold back is exact in a pool with
-- up to 256 buckets, 64 a queue; else it is less than there is.
-- include: state clock totals held_back
local WORKERS, CLASSES, BUCKETS, PARKED = 1000, 2, 2, 1

-- The score of a run that came back says when it entered, see taking.
local function entered(bucket)
  local entry = call('XRANGE', root .. ':backlog:' .. bucket, '-', '+', 'COUNT', 1)[1]
  local at = entry and tonumber(string.match(entry[1], '^%d+')) or math.huge
  local back = call('ZRANGE', root .. ':front:' .. bucket, 0, 0, 'WITHSCORES')[2]
  if back then at = math.min(at, math.floor(tonumber(back) / 4096) + 1600000000000) end
  return at
end

local function waits_since(queue)
  local oldest = math.huge
  for _, class in ipairs(call('ZRANGE', root .. ':classes:' .. queue, 0, CLASSES - 1)) do
    for _, bucket in ipairs(call('ZRANGE', root .. ':awake:' .. class, 0, BUCKETS - 1)) do
      oldest = math.min(oldest, entered(bucket))
    end
  end
  local from, to = '[' .. queue .. '|', '(' .. queue .. '}'
  for _, bucket in ipairs(call('ZRANGEBYLEX', root .. ':parked', from, to, 'LIMIT', 0, PARKED)) do
    oldest = math.min(oldest, entered(bucket))
  end
  return oldest < math.huge and oldest or 0
end

local keys_have_limits = call('EXISTS', root .. ':limits') == 1

local function tell_queue(name)
  local row = call('HMGET', root .. ':queue:' .. name, 'priority', 'limit', 'paused', 'start_within_ms')
  for i = 1, 4 do row[i] = row[i] or '' end
  local queued = tonumber(call('HGET', root .. ':depth', name) or 0)
  return {
    name, row, queued, call('ZCARD', root .. ':slots:queue:' .. name),
    call('ZCARD', root .. ':suspended:queue:' .. name), queued > 0 and waits_since(name) or 0,
    call('HGETALL', root .. ':counts:' .. name),
    queued > 0 and keys_have_limits and held_back(read_queue(name)) or 0,
  }
end

local function read_workers()
  local rows = call('ZRANGE', root .. ':workers', 0, WORKERS - 1, 'WITHSCORES')
  local seen, draining, slots, used, unheard = 0, 0, 0, 0, 0
  for i = 1, #rows, 2 do
    local name, ends = rows[i], tonumber(rows[i + 1])
    local row = call('HMGET', root .. ':worker:' .. name, 'state', 'capacity', 'lease', 'suspended')
    if ends > now then
      seen = seen + 1
      if row[1] == 'draining' then draining = draining + 1 end
      slots = slots + (tonumber(row[2] or '') or 0)
      used = used + call('ZCARD', root .. ':slots:worker:' .. name)
      if row[4] == '1' then used = used - call('ZCARD', root .. ':suspended:worker:' .. name) end
      unheard = math.max(unheard, now - ends + (tonumber(row[3] or '') or 0))
    end
  end
  local silent = call('ZCOUNT', root .. ':workers', '-inf', now)
  return {call('ZCARD', root .. ':workers') - silent, silent + call('SCARD', root .. ':lost'), seen,
    draining, slots, used, unheard}
end

local settings = call('HMGET', root, 'type', 'limit', 'paused')
if not settings[1] then return '' end
local told = {}
for _, name in ipairs(call('ZRANGE', root .. ':queues', first, first + math.min(most, 500) - 1)) do
  told[#told + 1] = tell_queue(name)
end
local head = {
  settings[1], settings[2] or '', settings[3] == '1', call('ZCARD', root .. ':slots'), call('ZCARD', root .. ':dead'),
  call('ZCARD', root .. ':orphans'), call('HLEN', root .. ':sweeps'), call('ZCARD', root .. ':queues'),
  total(root .. ':depth'), total(root .. ':later'), tonumber(call('HGET', root .. ':watch', 'capacity') or 0),
}
return cmsgpack.pack({now, head, told, read_workers()})
