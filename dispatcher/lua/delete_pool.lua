-- delete_pool: remove a work pool without runs and workers, its finished runs 256 a call, then its settings.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
-- RETURNS  {'deleted' | 'more' | 'no_pool'} or {'holds', queued, scheduled, running, workers, unread entries of intake,
--          deployments}
--
-- `holds`: nothing changed. Repeatable: while `more`, call again; a pool that is gone answers `no_pool`.
-- include: clock totals
if call('EXISTS', root) == 0 then return {'no_pool'} end

local queued, scheduled, running = total(root .. ':depth'), total(root .. ':later'), call('ZCARD', root .. ':slots')
local workers = call('ZCARD', root .. ':workers') + call('SCARD', root .. ':lost')
local publishers, unread = call('SMEMBERS', root .. ':publishers'), call('XLEN', root .. ':publish')
for _, name in ipairs(publishers) do unread = unread + call('XLEN', root .. ':publish:' .. name) end
local deployments = call('ZCARD', root .. ':deployments')
if queued + scheduled + running + workers + unread + deployments > 0 then
  return {'holds', queued, scheduled, running, workers, unread, deployments}
end

local entries = call('XRANGE', root .. ':finished', '-', '+', 'COUNT', 256)
for _, entry in ipairs(entries) do
  local id = entry[2][2]
  call('UNLINK', root .. ':r:' .. id, root .. ':log:' .. id, root .. ':children:' .. id)
  call('XDEL', root .. ':finished', entry[1])
end
if #entries > 0 then return {'more'} end
local names = call('ZRANGE', root .. ':queues', 0, 255)
for _, name in ipairs(names) do
  call('DEL', root .. ':queue:' .. name, root .. ':counts:' .. name)
  call('ZREM', root .. ':queues', name)
end
if #names > 0 then return {'more'} end
for _, name in ipairs(publishers) do call('DEL', root .. ':publish:' .. name) end
for _, part in ipairs({'finished', 'priorities', 'limits', 'rank', 'due', 'bell', 'events', 'dead', 'sweeps', 'watch',
  'idle', 'lanes', 'ready:', 'waiting', 'parked', 'depth', 'later', 'publish', 'publishers',
  'rejected', 'audit', 'abroad'}) do
  call('DEL', root .. ':' .. part)
end
call('DEL', root)
return {'deleted'}
