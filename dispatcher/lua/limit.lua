-- limit: set or clear the limit of a concurrency key, by exact name or `kind:*`.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          key       str   kind:value or kind:*
--          limit     str   runs at once; '' clears it
--          when_full str   what becomes of one more: wait | skip | replace | wait_one
-- RETURNS  {'ok', more} or {'no_pool'}
--
-- Lowering never kills, it stops admitting. Raising wakes what was parked; a `kind:*` sweeps, 256 keys a call.
-- include: state clock events bucket config limiting sweep settle
if not read_pool().type then return {'no_pool'} end
set_limit(key, limit, when_full)
local more = sweep(256)
more = settle(nil) or more
write_events()
return {'ok', more and 1 or 0}
