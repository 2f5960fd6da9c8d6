-- undeploy: remove a deployment, its schedules and the limits it brought. Its runs go on.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          slug      str   its name as it stands in keys
-- RETURNS  {'ok' | 'missing', more}
--
-- Repeatable: what is gone is `missing`.
-- include: state clock events bucket config deployments sweep settle
local hash = root .. ':deployment:' .. slug
if call('EXISTS', hash) == 0 then return {'missing', 0} end
for _, id in ipairs(schedule_ids(slug)) do remove_schedule(slug .. '/' .. id) end
bring_limit('deployment:' .. slug, '')
call('DEL', hash)
call('ZREM', root .. ':deployments', slug)
call('SREM', root .. ':moving', slug)
event('deployment', 'deleted', slug)
local more = sweep(256)
more = settle(nil) or more
write_events()
return {'ok', more and 1 or 0}
