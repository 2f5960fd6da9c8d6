-- drain: ask a worker to take no more runs and go: when its hands are empty, or after its grace.
--
-- KEYS     root      the pool
-- ARGV     name      str   the worker's id
--          how       str   drain: when its runs are over; stop: after its grace, handing back what still runs
-- RETURNS  'ok' | 'gone'
--
-- Told at once through its inbox, repeated by every turn and heartbeat.
local worker = root .. ':worker:' .. name
local row = call('HMGET', worker, 'state', 'lane')
if row[1] ~= 'online' and row[1] ~= 'draining' then return 'gone' end
call('HSET', worker, 'state', 'draining')
if how == 'stop' then call('HSET', worker, 'stop', 1) end
local idle = root .. ':idle:' .. row[2]
call('ZREM', idle, name)
if call('EXISTS', idle) == 0 then call('SREM', root .. ':idle', row[2]) end
call('XADD', root .. ':inbox:' .. name, 'MAXLEN', '~', 8, '*', how, '')
return 'ok'
