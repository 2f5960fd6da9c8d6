-- tick: what needs an eye: workers that fell silent, sweeps left open, runs left unadmitted.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
-- RETURNS  {now, more, workers lost, runs taken back, violations}
--
-- Only under continuous observation: after a gap between ticks of more than a quarter of the longest lease, or a jump
-- of time, no lease ends for one lease more (`floor`), and a lease further ahead than one lease is cut.
-- include: state clock events bucket config ending losing sweep settle
local watch = call('HMGET', root .. ':watch', 'tick', 'floor', 'lease')
local last, floor, lease = tonumber(watch[1] or ''), tonumber(watch[2] or '') or 0, tonumber(watch[3] or '') or 15000
if not last or now < last or now - last > math.max(500, lease / 4) or floor > now + lease then floor = now + lease end
call('HSET', root .. ':watch', 'tick', now, 'floor', floor)

for _, name in ipairs(call('ZRANGEBYSCORE', root .. ':workers', now + lease + 1, '+inf', 'LIMIT', 0, 64)) do
  call('ZADD', root .. ':workers', now + read_worker(name).lease, name)
end

local lost, taken, more = 0, 0, false
if floor <= now then
  for _, name in ipairs(call('ZRANGEBYSCORE', root .. ':workers', '-inf', now, 'LIMIT', 0, 16)) do
    retire(read_worker(name))
    lost = lost + 1
  end
end
local name = call('SRANDMEMBER', root .. ':lost')
if name then
  local worker = read_worker(name)
  worker.held = root .. ':slots:worker:' .. name
  for _, id in ipairs(call('ZRANGE', worker.held, 0, 63)) do
    take_back(read_record(id), read_facts(id), name)
    taken = taken + 1
  end
  flush_released()
  if call('EXISTS', worker.held) == 0 then forget(worker) end
  more = call('EXISTS', root .. ':lost') == 1
end
more = sweep(256) or more
more = settle(nil) or more
write_events()
return {now, more and 1 or 0, lost, taken, 0}
