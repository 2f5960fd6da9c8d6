-- publisher: give a publisher a stream of its own, or take it away.
--
-- KEYS     root      the pool
-- ARGV     mode      str   add or rm
--          name      str   of the publisher
-- RETURNS  {'ok' | 'no_pool' | 'no_publisher'} or {'full', how many there may be} or {'holds', unread entries}
--
-- Repeatable: it is there, or gone, already. One with unread entries stays.
local MOST = 256
local publishers = root .. ':publishers'
local stream = root .. ':publish:' .. name
if call('EXISTS', root) == 0 then return {'no_pool'} end
if mode == 'add' then
  if call('SISMEMBER', publishers, name) == 0 and call('SCARD', publishers) >= MOST then return {'full', MOST} end
  call('SADD', publishers, name)
  return {'ok'}
end
if call('SISMEMBER', publishers, name) == 0 then return {'no_publisher'} end
local unread = call('XLEN', stream)
if unread > 0 then return {'holds', unread} end
call('SREM', publishers, name)
call('DEL', stream)
return {'ok'}
