-- resuming: suspended runs get their slots back, before any run that is queued, in the order in which they asked.
-- One that lacks a slot somewhere does not hold up those behind it. Pauses stop admitting; these runs are admitted.
-- include: holding runs workers suspending
local RESUMED_AT_ONCE = 64

local function has_room(bucket, worker)
  local settings, queue = read_pool(), read_queue(bucket.queue)
  if settings.limit and count(root .. ':slots') >= settings.limit then return false end
  if queue.limit and count(root .. ':slots:queue:' .. queue.name) >= queue.limit then return false end
  for _, key in ipairs(bucket.keys) do
    if key_room(key) <= 0 then return false end
  end
  return is_live(worker) and worker_room(worker) > 0
end

local function resume(id, bucket, facts, worker)
  for _, scope in ipairs(bucket.scopes) do hold(scope, {now_text, id}) end
  end_suspension(id, facts, bucket)
  if worker_room(worker) <= 0 then delist(worker) end
  call('XADD', root .. ':inbox:' .. facts.worker, 'MAXLEN', '~', 8, '*', 'resume', id .. ':' .. facts.token)
  event('resumed', facts.worker, id)
end

local function resume_some()
  local ids = call('ZRANGE', root .. ':resuming', 0, RESUMED_AT_ONCE - 1)
  for _, id in ipairs(ids) do
    local facts = read_facts(id)
    local bucket, worker = parse_bucket(read_record(id).bucket), read_worker(facts.worker)
    if has_room(bucket, worker) then resume(id, bucket, facts, worker) end
  end
end
