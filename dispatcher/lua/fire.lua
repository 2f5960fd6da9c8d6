-- fire: schedules act: their runs are published and they go on to their next instant, in one step.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
-- REST     per schedule: slug/id, the instant it is at, edition of its deployment, next instant ms ('' none),
--          instants missed for good, number of runs, then per run: id, bucket, extra, spec
-- RETURNS  {'ok', now, more, status, ...} or {'no_pool'}; per schedule 'fired', 'stale' (it is elsewhere by now:
--          another scheduler was first, or it was changed), 'early', or 'deleting' (its queue is: it goes on without)
-- FLAGS    deny-oom
--
-- Exactly once an instant: the schedule must be where the caller thought. Any number of schedulers; never earlier than
-- a worker may prepare its run. An instant whose run was cancelled because the timing changed, and that comes again
-- with another change, has a run of another id: the same with -2, -3, ... behind it.
-- include: state clock events bucket config publishing settle
local HEAD, RUN, MOST_AGAIN = 6, 4, 99
if not read_pool().type then return {'no_pool'} end

local function go_on(member, instant, next_ms, runs, missed)
  local schedule = root .. ':schedule:' .. member
  call('HSET', schedule, 'last', instant)
  call('HINCRBY', schedule, 'fired', runs)
  if missed > 0 then
    call('HINCRBY', schedule, 'missed', missed)
    event('missed', missed, member)
  end
  if next_ms == '' then
    call('ZREM', root .. ':schedules', member)
  else
    call('ZADD', root .. ':schedules', next_ms, member)
  end
end

-- Runs for later than now, which a change of the timing cancels.
local function note_prepared(member, id, extra)
  local due = extra ~= '' and cmsgpack.unpack(extra)[1] or 0
  if due <= now then return end
  call('ZREMRANGEBYSCORE', root .. ':prepared:' .. member, '-inf', now)
  call('ZADD', root .. ':prepared:' .. member, due, id)
end

local function was_replaced(id)
  local record = read_record(id)
  return record and record.facts and cmsgpack.unpack(record.facts)[2] == 'schedule_changed'
end

-- Whether there is a new run.
local function publish_instant(member, id, bucket, extra, spec)
  local own, number = id, 1
  while publish(own, bucket, extra, spec) do
    if number == MOST_AGAIN or not was_replaced(own) then return false end
    number = number + 1
    own = id .. '-' .. number
  end
  note_prepared(member, own, extra)
  return true
end

local function fire(at)
  local member, instant, edition, runs = rest[at], rest[at + 1], rest[at + 2], tonumber(rest[at + 5])
  local slug = string.match(member, '^[^/]*')
  if call('HGET', root .. ':deployment:' .. slug, 'edition') ~= edition then return 'stale' end
  if tonumber(call('ZSCORE', root .. ':schedules', member) or '') ~= tonumber(instant) then return 'stale' end
  if tonumber(instant) - (read_pool().ahead or 0) > now then return 'early' end
  local published, missed, status = 0, tonumber(rest[at + 4]), 'fired'
  for i = at + HEAD, at + HEAD + (runs - 1) * RUN, RUN do
    if read_queue(parse_bucket(rest[i + 1]).queue).deleting then
      missed, status = missed + 1, 'deleting'
    elseif publish_instant(member, rest[i], rest[i + 1], rest[i + 2], rest[i + 3]) then
      published = published + 1
    end
  end
  go_on(member, instant, rest[at + 3], published, missed)
  return status
end

local reply, at = {'ok', now, 0}, 1
while rest[at] do
  reply[#reply + 1] = fire(at)
  at = at + HEAD + RUN * tonumber(rest[at + 5])
end
reply[3] = settle(nil) and 1 or 0
write_events()
return reply
