-- places: whether a run is where its record says, and nowhere else (I3).
-- include: taking losing orphans later violations holding
local IN_HAND = {pending = true, running = true, cancelling = true}

-- Its facts, when it is in hand: in a worker's, or an orphan.
local function facts_in_hand(record)
  local facts = record and not record.facts and read_facts(record.id)
  return facts and IN_HAND[facts.state] and facts or nil
end

local function is_in_stream(record, bucket)
  if record.ms == 0 then return false end
  local entry = string.format('%.0f-%.0f', record.ms, record.seq)
  local found = call('XRANGE', bucket.stream, entry, entry, 'COUNT', 1)[1]
  return found ~= nil and found[2][2] == record.id
end

local function is_in_front(record, bucket)
  return call('ZSCORE', bucket.front, record.id) ~= false
end

-- Not by `remove`: the entry id of one that is in hand may be that of a younger run by now.
local function leave_backlog(record, bucket)
  local gone = call('ZREM', bucket.front, record.id)
  if is_in_stream(record, bucket) then
    gone = gone + call('XDEL', bucket.stream, string.format('%.0f-%.0f', record.ms, record.seq))
  end
  bucket.empty = nil
  change('depth', bucket.queue, -gone)
  if is_empty(bucket) then leave(bucket) end
end

-- Is a class with awake buckets in all lanes that may take it? One whose queue is out is in none.
local listed = {}
local function is_listed(class, queue)
  if listed[class] or not call('ZSCORE', root .. ':classes:' .. queue.name, class) then return listed[class] end
  for _, lane in ipairs(queue.out and {} or lanes_of(class)) do
    if not call('ZSCORE', lane, class) then return false end
  end
  listed[class] = true
  return true
end

-- A bucket with runs is awake or parked; its class is listed, unless a sweep is on its way.
local function verify_reach(bucket)
  if not call('ZSCORE', root .. ':awake:' .. bucket.class, bucket.name) then
    local parked = call('ZSCORE', root .. ':parked', bucket.name)
    if not parked and violated('unreachable', bucket.name) then awaken(bucket) end
    return
  end
  local queue = read_queue(bucket.queue)
  if is_listed(bucket.class, queue) or call('EXISTS', root .. ':sweeps') == 1 then return end
  if violated('unreachable', bucket.name) then
    call('ZADD', root .. ':classes:' .. bucket.queue, 0, bucket.class)
    if not queue.out then ready(bucket.class, queue) end
  end
end

local function verify_queued(record, bucket)
  local streamed, fronted = is_in_stream(record, bucket), is_in_front(record, bucket)
  if streamed and fronted and violated('doubled', record.id) then
    call('ZREM', bucket.front, record.id)
    change('depth', bucket.queue, -1)
  elseif not streamed and not fronted and violated('lost', record.id) then
    if is_empty(bucket) then leave(bucket) end -- it may be parked still
    put_front(bucket, record)
    flush_released()
  end
  if streamed or fronted then verify_reach(bucket) end
end

local function verify_scheduled(record)
  if call('ZSCORE', root .. ':due', 'r' .. record.id) then return end
  if violated('lost', record.id) then put_due(record) end
end

-- Is it in the hands of a worker that will be asked for it, or waits as an orphan?
local function is_held(id, facts)
  if facts.worker == '' then return call('ZSCORE', root .. ':orphans', id) ~= false end
  return call('ZSCORE', root .. ':slots:worker:' .. facts.worker, id)
    and (call('ZSCORE', root .. ':workers', facts.worker) or call('SISMEMBER', root .. ':lost', facts.worker) == 1)
end

local function verify_held(record, facts, bucket)
  if (is_in_stream(record, bucket) or is_in_front(record, bucket)) and violated('doubled', record.id) then
    leave_backlog(record, bucket)
  end
  if not is_held(record.id, facts) then
    if violated('stranded', record.id) then
      take_back(record, facts, read_worker(facts.worker))
      flush_released() -- else its slots would be taken for leaked ones
    end
    return
  end
  if facts.suspended then return end
  for _, scope in ipairs(bucket.scopes) do
    if not call('ZSCORE', scope, record.id) and violated('unslotted', record.id) then
      hold(scope, {facts.admitted, record.id})
    end
  end
end

local function verify_run(id)
  local record = read_record(id)
  if not record or record.facts then return 1 end
  local bucket, facts = parse_bucket(record.bucket), read_facts(id)
  if facts and IN_HAND[facts.state] then
    verify_held(record, facts, bucket)
  elseif record.ms > 0 then
    verify_queued(record, bucket)
  else
    verify_scheduled(record)
  end
  return 1
end

-- Facts of a run that is over, or was forgotten, keep nothing but memory.
local function verify_facts(id)
  if call('EXISTS', root .. ':run:' .. id) == 0 then return 0 end -- it ended since its key was found
  local record = read_record(id)
  if (not record or record.facts) and violated('leaked', id) then call('DEL', root .. ':run:' .. id) end
  return 1
end
