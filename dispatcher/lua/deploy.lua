-- deploy: write a deployment: its document, the limit it brings, its schedules.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          slug      str   its name as it stands in keys
--          expect    int   -1: whatever there is; 0: it must be new; else the version that it must have
--          document  str   all it says; scripts do not read it
--          limit     str   of the key deployment:slug: '' none, '3', '3,skip'
-- REST     per schedule: id, its timing in a word, next instant ms ('' none), overlap ('' any, '1', '1,skip'),
--          the last one it was at elsewhere ('' none), and, where its timing changes, ids of runs of instants that it
--          has too, by commas ('*': all that are there)
-- RETURNS  {'ok' | 'unchanged', version, more}, {'conflict', version}, {'moving', pool} or {'no_pool'}
-- FLAGS    deny-oom
--
-- A schedule whose timing stays as it was goes on where it is: no instant is lost or repeated. Where it changes, or the
-- schedule goes, its runs that are for later than now are cancelled, the soonest 256. Repeatable: the same document
-- again is `unchanged`.
-- include: state clock events bucket config rank deployments sweep settle
local FIELDS = 6
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

-- What it published ahead of its instant is no instant of it any more.
local function change_timing(member, kept)
  if kept ~= '*' then replace_prepared(member, kept) end
  local last = tonumber(call('HGET', root .. ':schedule:' .. member, 'last') or '')
  if last and last > now then call('HSET', root .. ':schedule:' .. member, 'last', now) end
end

local function write_schedule(member, timing, next_ms, overlap, last_ms, kept)
  local before = call('HGET', root .. ':schedule:' .. member, 'timing')
  if before and before ~= timing then change_timing(member, kept) end
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
  if not kept[id] then
    replace_prepared(slug .. '/' .. id, '')
    remove_schedule(slug .. '/' .. id)
  end
end
for i = 1, #rest, FIELDS do
  write_schedule(slug .. '/' .. rest[i], rest[i + 1], rest[i + 2], rest[i + 3], rest[i + 4], rest[i + 5])
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
