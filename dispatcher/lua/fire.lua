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
-- a worker may prepare its run.
-- include: state clock events bucket config publishing settle
local HEAD, RUN = 6, 4
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

local function fire(at)
  local member, instant, edition, runs = rest[at], rest[at + 1], rest[at + 2], tonumber(rest[at + 5])
  local slug = string.match(member, '^[^/]*')
  if call('HGET', root .. ':deployment:' .. slug, 'edition') ~= edition then return 'stale' end
  if tonumber(call('ZSCORE', root .. ':schedules', member) or '') ~= tonumber(instant) then return 'stale' end
  if tonumber(instant) - (read_pool().ahead or 0) > now then return 'early' end
  local published, missed = 0, tonumber(rest[at + 4])
  for i = at + HEAD, at + HEAD + (runs - 1) * RUN, RUN do
    if read_queue(parse_bucket(rest[i + 1]).queue).deleting then
      missed = missed + 1
    else
      publish(rest[i], rest[i + 1], rest[i + 2], rest[i + 3])
      published = published + 1
    end
  end
  go_on(member, instant, rest[at + 3], published, missed)
  return published == runs and 'fired' or 'deleting'
end

local reply, at = {'ok', now, 0}, 1
while rest[at] do
  reply[#reply + 1] = fire(at)
  at = at + HEAD + RUN * tonumber(rest[at + 5])
end
reply[3] = settle(nil) and 1 or 0
write_events()
return reply
