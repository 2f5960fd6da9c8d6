-- abandoning: orphans whose time is over while nobody of their site is there. Where somebody is, they wait for room.
-- include: losing orphans
local function abandon(id)
  local site = call('HGET', root .. ':run:' .. id, 'site')
  if not site then -- nobody's work but somebody's hand
    call('ZREM', root .. ':orphans', id)
    return 0
  end
  if call('EXISTS', root .. ':site:' .. site) == 1 then
    call('ZADD', root .. ':orphans', now + lease, id)
    return 0
  end
  local record, facts = read_record(id), read_facts(id)
  end_orphanhood(id, site)
  release_scopes(id, parse_bucket(record.bucket))
  charge(record, facts)
  return 1
end

local function abandon_some()
  local taken = 0
  for _, id in ipairs(call('ZRANGEBYSCORE', root .. ':orphans', '-inf', now, 'LIMIT', 0, 16)) do
    taken = taken + abandon(id)
  end
  flush_released()
  return taken
end
