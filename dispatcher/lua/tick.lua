-- tick: what needs an eye: silent workers, pushes that nobody confirmed, sweeps left open, runs left unadmitted.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
-- RETURNS  {now, more, workers lost, runs taken back, runs left to be adopted, pushed runs taken back}
--
-- Only under continuous observation: after a gap between ticks of more than a quarter of the longest lease, or a jump
-- of time, no lease ends for one lease more (`floor`), and a lease further ahead than one lease is cut. The same goes
-- for runs that were pushed and not confirmed, and for those that wait to be adopted.
-- include: state clock events bucket config ending losing orphans sweep settle
local watch = call('HMGET', root .. ':watch', 'tick', 'floor', 'lease')
local last, floor, lease = tonumber(watch[1] or ''), tonumber(watch[2] or '') or 0, tonumber(watch[3] or '') or 15000
if not last or now < last or now - last > math.max(500, lease / 4) or floor > now + lease then floor = now + lease end
call('HSET', root .. ':watch', 'tick', now, 'floor', floor)

for _, name in ipairs(call('ZRANGEBYSCORE', root .. ':workers', now + lease + 1, '+inf', 'LIMIT', 0, 64)) do
  call('ZADD', root .. ':workers', now + read_worker(name).lease, name)
end

local lost, taken, orphaned, unconfirmed, more = 0, 0, 0, 0, false
if floor <= now then
  for _, name in ipairs(call('ZRANGEBYSCORE', root .. ':workers', '-inf', now, 'LIMIT', 0, 16)) do
    retire(read_worker(name))
    lost = lost + 1
  end
end
local name = call('SRANDMEMBER', root .. ':lost')
if name then
  local worker = read_worker(name)
  local site = call('HGET', root .. ':worker:' .. name, 'site')
  for _, id in ipairs(call('ZRANGE', worker.held, 0, 63)) do
    local facts = read_claim(id)
    if may_be_adopted(site, facts) then
      orphan(worker, id, site)
      orphaned = orphaned + 1
    else
      take_back(read_record(id), facts, worker)
      taken = taken + 1
    end
  end
  flush_released()
  if call('EXISTS', worker.held) == 0 then forget(worker) end
  more = call('EXISTS', root .. ':lost') == 1
end
if floor <= now and call('EXISTS', root .. ':pushed') == 1 then
  -- here: unconfirmed
  unconfirmed = take_back_unconfirmed()
end
if floor <= now and read_pool().orphans then
  -- here: abandoning
  taken = taken + abandon_some()
end
more = sweep(256) or more
more = settle(nil) or more
write_events()
return {now, more and 1 or 0, lost, taken, orphaned, unconfirmed}
