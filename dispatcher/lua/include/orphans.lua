-- orphans: runs of a worker that went, whose infrastructure lives on. They keep their slots, and their claim, until a
-- worker of the same site adopts them; given up when nobody of that site was there for PATIENCE leases.
-- include: slots
local PATIENCE = 4

local function may_be_adopted(site, facts)
  return site and facts.infrastructure ~= '' and not facts.suspended
end

local function orphan(worker, id, site)
  release_from(worker.held, id)
  call('HSET', root .. ':run:' .. id, 'worker', '', 'site', site)
  call('ZADD', root .. ':orphans', now + PATIENCE * worker.lease, id)
  call('ZADD', root .. ':orphans:' .. site, now, id)
  call('HSET', root, 'orphans', 1)
  event('orphaned', worker.name, id)
end

local function end_orphanhood(id, site)
  call('ZREM', root .. ':orphans', id)
  call('ZREM', root .. ':orphans:' .. site, id)
  call('HDEL', root .. ':run:' .. id, 'site')
  if call('EXISTS', root .. ':orphans') == 0 then call('HDEL', root, 'orphans') end
end
