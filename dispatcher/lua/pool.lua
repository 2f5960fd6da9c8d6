-- pool: create or change a work pool. Effective at once for all that is admitted after it.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          mode      str   create | update | ensure (create unless it is there)
--          type      str   worker type, for a new pool
-- REST     field, value, ...: limit ('' none), paused (0 | 1), description, retention_ms, retention_count, crashes,
--          template ('' none): each other text counts template_version one up
-- RETURNS  {'ok', more}, {'exists', type} or {'no_pool'}
--
-- Absolute: an update sent twice sets the same again; a second create answers `exists` and changes nothing.
-- include: state clock events bucket config creating sweep settle
local known = read_pool().type
if known and mode ~= 'update' then return {'exists', known} end
if not known and mode == 'update' then return {'no_pool'} end
if not known then
  call('HSET', root, 'type', type, 'created', now, 'paused', 0)
  create_queue('default', 1)
  event('pool', 'created', type)
end
for i = 1, #rest, 2 do
  if rest[i] == 'template' then
    if (call('HGET', root, 'template') or '') ~= rest[i + 1] then
      event('pool', 'template', call('HINCRBY', root, 'template_version', 1))
    end
  end
  call('HSET', root, rest[i], rest[i + 1])
  if rest[i] ~= 'description' and rest[i] ~= 'template' then
    event('pool', rest[i], rest[i + 1] == '' and '-' or rest[i + 1])
  end
end
pool = nil
local more = sweep(256)
more = settle(nil) or more
write_events()
return {'ok', more and 1 or 0}
