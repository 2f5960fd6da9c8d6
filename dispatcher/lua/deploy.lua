-- deploy: write a deployment: its document, the limit it brings, its schedules.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          slug      str   its name as it stands in keys
--          expect    int   -1: whatever there is; 0: it must be new; else the version that it must have
--          document  str   all it says; scripts do not read it
--          limit     str   of the key deployment:slug: '' none, '3', '3,skip'
-- REST     per schedule: id, its timing in a word, next instant ms ('' none), overlap ('' any, '1', '1,skip'),
--          and the last one it was at elsewhere ('' none)
-- RETURNS  {'ok' | 'unchanged', version, more}, {'conflict', version}, {'moving', pool} or {'no_pool'}
-- FLAGS    deny-oom
--
-- A schedule whose timing stays as it was goes on where it is: no instant is lost or repeated. Repeatable: the same
-- document again is `unchanged`.
-- include: state clock events bucket config rank deployments sweep settle
local FIELDS = 5
if not read_pool().type then return {'no_pool'} end
-- Whether what it brings is there still: people may change limits by hand.
local function limits_stand()
  if (call('HGET', root .. ':limits', 'deployment:' .. slug) or '') ~= limit then return false end
  for i = 1, #rest, FIELDS do
    local said = call('HGET', root .. ':limits', 'schedule:' .. slug .. '/' .. rest[i])
    if (said or '') ~= rest[i + 3] then return false end
  end
  return true
end

local hash = root .. ':deployment:' .. slug
local row = call('HMGET', hash, 'version', 'document', 'moving')
local version = tonumber(row[1] or '') or 0
if row[3] then return {'moving', row[3]} end
if row[2] == document and limits_stand() then return {'unchanged', version, 0} end
if expect >= 0 and expect ~= version then return {'conflict', version} end

local function write_schedule(member, timing, next_ms, overlap, last_ms)
  local before = call('HGET', root .. ':schedule:' .. member, 'timing')
  call('HSET', root .. ':schedule:' .. member, 'timing', timing)
  if last_ms ~= '' then call('HSETNX', root .. ':schedule:' .. member, 'last', last_ms) end
  local goes_on = next_ms ~= '' and before == timing and call('ZSCORE', root .. ':schedules', member)
  if not goes_on then set_next(member, next_ms) end
  bring_limit('schedule:' .. member, overlap)
end

local kept, ids = {}, {}
for i = 1, #rest, FIELDS do
  kept[rest[i]] = true
  ids[#ids + 1] = rest[i]
end
for _, id in ipairs(schedule_ids(slug)) do
  if not kept[id] then remove_schedule(slug .. '/' .. id) end
end
for i = 1, #rest, FIELDS do
  write_schedule(slug .. '/' .. rest[i], rest[i + 1], rest[i + 2], rest[i + 3], rest[i + 4])
end
bring_limit('deployment:' .. slug, limit)
version = version + 1
-- Versions begin at 1 again when a deployment is deleted and made anew; no two writings have the same edition.
call('HSET', hash, 'edition', now_text .. '-' .. next_rank())
call('HSET', hash, 'version', version, 'document', document, 'schedules', table.concat(ids, ','), 'updated', now)
call('HSETNX', hash, 'created', now)
call('ZADD', root .. ':deployments', 0, slug)
ring()
event('deployment', version == 1 and 'created' or 'updated', slug)
local more = sweep(256)
more = settle(nil) or more
write_events()
return {'ok', version, more and 1 or 0}
