-- deployments: their schedules, and the limits they bring. A slug is a deployment's name as it stands in keys, a
-- schedule is slug/id. One that has a next instant is in `schedules`.
-- include: limiting cancelling
local REPLACED_AT_MOST = 256

-- Ids of the schedules of a deployment, as it was written last.
local function schedule_ids(slug)
  local ids, said = {}, call('HGET', root .. ':deployment:' .. slug, 'schedules') or ''
  for id in string.gmatch(said, '[^,]+') do ids[#ids + 1] = id end
  return ids
end

-- The limit of a deployment or the overlap of a schedule: '' none, else a number, and `when_full` behind a comma.
local function bring_limit(key, said)
  if (call('HGET', root .. ':limits', key) or '') == said then return end
  local limit, when_full = string.match(said, '^(%d*),?(.*)$')
  set_limit(key, limit, when_full == '' and 'wait' or when_full)
end

local function set_next(member, next_ms)
  if next_ms == '' then
    call('ZREM', root .. ':schedules', member)
  else
    call('ZADD', root .. ':schedules', next_ms, member)
  end
end

-- The schedulers look again.
local function ring()
  call('XADD', root .. ':bell', 'MAXLEN', 1, '*', 'at', now_text)
end

-- Runs that were published for later than now are not to begin, but those that are kept: the new timing has them too.
local function replace_prepared(member, kept)
  local prepared = root .. ':prepared:' .. member
  for _, id in ipairs(call('ZRANGEBYSCORE', prepared, '(' .. now_text, '+inf', 'LIMIT', 0, REPLACED_AT_MOST)) do
    if not string.find(kept, string.sub(id, 1, 32), 1, true) then
      cancel_run(id, 'schedule_changed')
      call('ZREM', prepared, id)
    end
  end
end

local function remove_schedule(member)
  set_next(member, '')
  call('DEL', root .. ':schedule:' .. member, root .. ':prepared:' .. member)
  bring_limit('schedule:' .. member, '')
end
