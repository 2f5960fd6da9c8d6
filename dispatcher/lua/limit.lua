-- limit: set or clear the limit of a concurrency key, by exact name or `kind:*`.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          key       str   kind:value or kind:*
--          limit     str   runs at once; '' clears it
-- RETURNS  {'ok', more} or {'no_pool'}
--
-- Lowering never kills, it stops admitting. Raising wakes what was parked; a `kind:*` sweeps, 256 keys a call.
-- include: state clock events bucket config parking sweep settle
if not read_pool().type then return {'no_pool'} end
if limit == '' then
  call('HDEL', root .. ':limits', key)
else
  call('HSET', root .. ':limits', key, limit)
end
event('limit', key, limit == '' and '-' or limit)
local kind = string.match(key, '^([^:]*):%*$')
if kind then
  call('HSET', root .. ':sweeps', 'kind ' .. kind, '')
elseif key_room(key) > 0 then
  wake_key(key)
end
local more = sweep(256)
more = settle(nil) or more
write_events()
return {'ok', more and 1 or 0}
