-- move: the first step of a deployment's way to another pool: its schedules stop here, to go on there.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          slug      str   its name as it stands in keys
--          target    str   the pool it goes to
-- RETURNS  {'ok', target, version, document, id, next instant ms or '', ...} or {'missing'}
--
-- Whoever asks deploys it there with these instants, then undeploys it here. When it dies between, any scheduler goes
-- on. Repeatable; a second target does not replace the first.
-- include: clock
local hash = root .. ':deployment:' .. slug
local row = call('HMGET', hash, 'version', 'document', 'schedules', 'moving')
if not row[1] then return {'missing'} end
if not row[4] then
  call('HSET', hash, 'moving', target, 'moved', now)
  call('SADD', root .. ':moving', slug)
end
local reply = {'ok', row[4] or target, tonumber(row[1]), row[2]}
for id in string.gmatch(row[3], '[^,]+') do
  local member = slug .. '/' .. id
  local schedule = root .. ':schedule:' .. member
  local next_ms = call('ZSCORE', root .. ':schedules', member)
  if next_ms then
    call('HSET', schedule, 'next', next_ms) -- kept, so that a second call tells the same
    call('ZREM', root .. ':schedules', member)
  end
  reply[#reply + 1] = id
  reply[#reply + 1] = call('HGET', schedule, 'next') or ''
end
return reply
