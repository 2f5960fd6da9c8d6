-- join: a worker presents itself: its filter (lane), its capacity, its lease.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          name      str   the worker's id, new at each start
--          lane      str   names|labels|only
--          capacity  int   runs it holds at once
--          lease_ms  int   how long it is believed without a word
--          type      str   worker type; must be the pool's
--          auto      int   1: admitted is running (functions); 0: pending until `start`
--          site      str   where its infrastructure lives on without it; '': it does not
--          ahead     int   ms before they are due that it prepares runs; 0: not before
--          info      str   msgpack for people
-- REST     names of queues it asks for; made when missing
-- RETURNS  {'ok', now}, {'gone', now} (a worker of this id was lost: take another), {'no_pool'},
--          {'type', the pool's type} or {'lanes', most}
--
-- Repeatable: joining again changes nothing.
-- include: state clock events bucket config queue workers ahead
local LANES = 64
local settings = read_pool()
if not settings.type then return {'no_pool'} end
if settings.type ~= type then return {'type', settings.type} end
local known = read_worker(name)
if known.lane then return is_live(known) and {'ok', now} or {'gone', now} end
if call('SISMEMBER', root .. ':lanes', lane) == 0 then
  if call('SCARD', root .. ':lanes') >= LANES then return {'lanes', LANES} end
  call('SADD', root .. ':lanes', lane)
  call('HSET', root .. ':sweeps', 'lane ' .. lane, '')
end
for _, queue in ipairs(rest) do ensure_queue(queue) end
call('SADD', root .. ':lane:' .. lane, name)
call('HSET', root .. ':worker:' .. name, 'lane', lane, 'capacity', capacity, 'lease', lease_ms, 'auto', auto,
  'state', 'online', 'number', 0, 'info', info, 'joined', now)
call('ZADD', root .. ':workers', now + lease_ms, name)
if site ~= '' then
  call('HSET', root .. ':worker:' .. name, 'site', site)
  call('SADD', root .. ':site:' .. site, name)
end
if ahead > 0 then
  call('ZADD', root .. ':ahead', ahead, name)
  write_ahead()
end
local longest = tonumber(call('HGET', root .. ':watch', 'lease') or '') or 0
if lease_ms > longest then call('HSET', root .. ':watch', 'lease', lease_ms) end
call('HSET', root .. ':watch', 'capacity', capacity)
event('worker', 'joined', name)
write_events()
return {'ok', now}
