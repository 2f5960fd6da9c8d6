-- admission: steps of settle, and what they give to the workers.
-- include: taking runs workers holding lanes parking counting claiming
local CONFIRM_MS = 750

local function floor_deadline()
  return tonumber(call('HGET', root .. ':watch', 'floor') or '') or 0
end

-- The worker of a lane that gets the next run: the caller, else the latest to turn, with a lease in the future.
local function pick_worker(lane, caller)
  if caller and caller.lane == lane and worker_room(caller) > 0 then return caller end
  for _, name in ipairs(call('ZREVRANGE', root .. ':idle:' .. lane, 0, 3)) do
    local worker = read_worker(name)
    local lease = tonumber(call('ZSCORE', root .. ':workers', name) or '') or 0
    if worker.lane and math.max(lease, lease > 0 and floor_deadline() or 0) > now
      and worker.state == 'online' and worker_room(worker) > 0 then
      return worker
    end
    delist({name = name, lane = lane})
  end
  return nil
end

local function expired(record)
  if not has(record.flags, HAS_EXPIRY) then return false end
  local deadline = tonumber(call('ZSCORE', root .. ':due', 'x' .. record.id) or '')
  if deadline and deadline <= now then return true end
  if deadline then call('ZREM', root .. ':due', 'x' .. record.id) end
  return false
end

local function admit(bucket, n, worker, caller)
  local ids, numbered, waited = {}, {}, tally_of(arrivals, bucket.queue)
  for _, id in ipairs(take(bucket, n)) do
    local record = read_record(id)
    if expired(record) then
      terminate(record, has(record.flags, HAS_FACTS) and read_facts(id) or nil, 'expired', 'deadline', '')
    else
      local words, entered = claim(record, worker)
      give(worker, words, record, caller)
      waited[entered] = (waited[entered] or 0) + 1
      ids[#ids + 1] = now_text
      ids[#ids + 1] = id
      numbered[#numbered + 1] = worker.number
      numbered[#numbered + 1] = id
      event('admitted', worker.name, id)
    end
  end
  if #ids == 0 then return 0 end
  for _, scope in ipairs(bucket.scopes) do hold(scope, ids) end
  local held = count(worker.held)
  call('ZADD', worker.held, unpack(numbered))
  counts[worker.held] = held + #ids / 2
  if caller and worker.name == caller.name or worker.pushed then
    call('HSET', root .. ':worker:' .. worker.name, 'number', worker.number)
  else
    worker.pushed = worker.number - #ids / 2 + 1
    call('HSET', root .. ':worker:' .. worker.name, 'number', worker.number, 'pushed', worker.pushed)
    call('ZADD', root .. ':pushed', now + CONFIRM_MS, worker.name)
  end
  return #ids / 2
end

-- The first key of a bucket without room, if any; else how many more runs its keys take.
local function keys_room(bucket)
  local least = math.huge
  for _, key in ipairs(bucket.keys) do
    local room = key_room(key)
    if room <= 0 then return 0, key end
    least = math.min(least, room)
  end
  return least
end

-- After a bucket was served: gone, or behind its sisters. Room left in its keys wakes the next waiter beside it.
local function rotate(bucket, alone)
  if is_empty(bucket) then
    call('DEL', bucket.stream)
    asleep(bucket)
  elseif not alone then
    call('ZADD', root .. ':awake:' .. bucket.class, 'XX', next_rank(), bucket.name)
  end
  hand_over(bucket)
end

local function serve(class, lane, shared, budget, caller)
  local awake = root .. ':awake:' .. class
  local names = call('ZRANGE', awake, 0, 1)
  if not names[1] then  -- its key was removed by hand: the class leaves the lanes, the audit finds its buckets again
    unready(class)
    call('ZREM', root .. ':ready:' .. lane, class)
    return 0
  end
  local bucket = parse_bucket(names[1])
  local queue = read_queue(bucket.queue)
  local room = queue_room(queue)
  if room <= 0 then
    put_out(queue, class)
    return 0
  end
  local most, full = keys_room(bucket)
  if full then
    park(bucket, full)
    return 0
  end
  local worker = pick_worker(lane, caller)
  if not worker then return 0 end
  local alone = not names[2]
  local n = math.min(budget, room, most, pool_room(), worker_room(worker))
  if shared or not alone then n = 1 end
  local admitted = admit(bucket, n, worker, caller)
  rotate(bucket, alone)
  if shared and call('EXISTS', awake) == 1 then ready(class, queue) end
  if worker_room(worker) <= 0 then delist(worker) end
  return admitted
end
