-- move: the first step of a deployment's way to another pool: its schedules stop here, to go on there.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          slug      str   its name as it stands in keys
--          target    str   the pool it goes to; '' goes on with what was begun
--          gone      str   '', or a pool that is no more: on its way there, it stays here, and its schedules go on
-- RETURNS  {'ok', target, version, document, then per schedule id, next instant ms or '', last one or ''};
--          {'stays'} with `gone`; {'missing'}, also where '' finds no move
--
-- Whoever asks deploys it there with these instants, then undeploys it here. When it dies between, any scheduler goes
-- on. Repeatable; a second target does not replace the first.
-- include: clock
local hash = root .. ':deployment:' .. slug
local row = call('HMGET', hash, 'version', 'document', 'schedules', 'moving')

local function stay()
  for id in string.gmatch(row[3], '[^,]+') do
    local member = slug .. '/' .. id
    local next_ms = call('HGET', root .. ':schedule:' .. member, 'next')
    if next_ms then call('ZADD', root .. ':schedules', next_ms, member) end
    call('HDEL', root .. ':schedule:' .. member, 'next')
  end
  call('HDEL', hash, 'moving', 'moved')
  call('SREM', root .. ':moving', slug)
  call('XADD', root .. ':bell', 'MAXLEN', 1, '*', 'at', now_text)
end

if gone ~= '' then
  if row[4] == gone then stay() end
  return {'stays'}
end
if not row[1] or not row[4] and target == '' then return {'missing'} end
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
  reply[#reply + 1] = call('HGET', schedule, 'last') or ''
end
return reply
