-- scopes: whether what is in a set belongs there, and whether a scope holds no more than its limit (I1).
-- include: places slots parking
local SOME = 64

local function some_of(set)
  if call('ZCARD', set) <= SOME then return call('ZRANGE', set, 0, -1) end
  return call('ZRANDMEMBER', set, SOME)
end

local function has_scope(record, scope)
  for _, one in ipairs(parse_bucket(record.bucket).scopes) do
    if one == scope then return true end
  end
  return false
end

local function begins_with(line, beginnings)
  for _, one in ipairs(beginnings) do
    if string.sub(line, 1, #one) == one then return true end
  end
  return false
end

-- Whether an event that begins so was told since a run got its slot, or with it; true too when nobody can tell any
-- more. By the order of events, so whatever the clock did.
local function told_since_admission(id, beginnings)
  for _, entry in ipairs(call('XREVRANGE', root .. ':events', '+', '-', 'COUNT', 4096)) do
    local was_admitted = false
    for line in string.gmatch(entry[2][2], '[^\n]+') do
      if begins_with(line, beginnings) then return true end
      was_admitted = was_admitted
        or begins_with(line, {'admitted ', 'resumed '}) and string.find(line .. ' ', ' ' .. id .. ' ', 1, true)
    end
    if was_admitted then return false end
  end
  return true
end

-- Lowering a limit ends nothing, so a scope may hold more than its limit: but no run that was admitted after that.
-- `changes_told` are the beginnings of events that change it.
local function verify_limit(scope, limit, changes_told)
  if not limit or count(scope) <= limit then return end
  local youngest = call('ZREVRANGE', scope, 0, 0)[1]
  if not told_since_admission(youngest, changes_told) then violated('over_limit', string.sub(scope, #root + 2)) end
end

local function verify_members(scope)
  for _, id in ipairs(some_of(scope)) do
    local record = read_record(id)
    local facts = facts_in_hand(record)
    if (not facts or facts.suspended or not has_scope(record, scope)) and violated('leaked', id) then
      release_from(scope, id)
    end
  end
end

local function verify_worker(scope, name)
  for _, id in ipairs(some_of(scope)) do
    local facts = facts_in_hand(read_record(id))
    if (not facts or facts.worker ~= name) and violated('leaked', id) then
      release_from(scope, id)
      call('HDEL', root .. ':orders:' .. name, id)
    end
  end
  local worker = read_worker(name)
  if worker.capacity and worker_room(worker) < 0 then violated('over_limit', 'slots:worker:' .. name) end
end

-- `name` is what follows `slots:`, '' of the pool's own.
local function verify_scope(scope, name)
  local kind, word = string.match(name, '^([^:]*):(.*)$')
  if kind == 'worker' then
    verify_worker(scope, word)
  elseif kind == 'queue' then
    verify_members(scope)
    touched_queues[word] = true
    verify_limit(scope, read_queue(word).limit, {'queue ' .. word .. ' limit '})
  elseif kind == 'key' then
    verify_members(scope)
    touched_keys[word] = true
    verify_limit(scope, read_limit(word), {'limit ' .. word .. ' ', 'limit ' .. string.match(word, '^[^:]*') .. ':* '})
  else
    verify_members(scope)
    verify_limit(scope, read_pool().limit, {'pool limit '})
  end
  return math.min(count(scope), SOME) + 1
end

-- The head of a bucket, which is what is admitted next: runs that are there and wait.
local function verify_bucket(name)
  local bucket, ghosts = parse_bucket(name), 0
  for _, entry in ipairs(call('XRANGE', bucket.stream, '-', '+', 'COUNT', SOME)) do
    local id, record = entry[2][2], read_record(entry[2][2])
    local waits = record and not record.facts and record.bucket == name
      and string.format('%.0f-%.0f', record.ms, record.seq) == entry[1]
    if not waits and violated('ghost', id) then ghosts = ghosts + call('XDEL', bucket.stream, entry[1]) end
  end
  for _, id in ipairs(call('ZRANGE', bucket.front, 0, SOME - 1)) do
    local record = read_record(id)
    local waits = record and not record.facts and record.bucket == name
    if not waits and violated('ghost', id) then ghosts = ghosts + call('ZREM', bucket.front, id) end
  end
  bucket.empty = nil
  change('depth', bucket.queue, -ghosts)
  if not is_empty(bucket) then
    verify_reach(bucket)
  elseif ghosts > 0 then
    leave(bucket)
  end
  return SOME
end

-- The number of queued runs of a queue, where its buckets can be counted.
local function verify_depth(name)
  local from, to = '[' .. name .. '|', '(' .. name .. '}'
  local sum, buckets = 0, call('ZRANGEBYLEX', root .. ':parked', from, to, 'LIMIT', 0, SOME)
  for _, class in ipairs(call('ZRANGE', root .. ':classes:' .. name, 0, SOME)) do
    for _, one in ipairs(call('ZRANGE', root .. ':awake:' .. class, 0, SOME)) do buckets[#buckets + 1] = one end
    if #buckets >= SOME then return SOME end
  end
  for _, one in ipairs(buckets) do
    sum = sum + call('XLEN', root .. ':backlog:' .. one) + call('ZCARD', root .. ':front:' .. one)
  end
  local known = tonumber(call('HGET', root .. ':depth', name) or 0) + (changes.depth[name] or 0)
  if sum ~= known and violated('miscounted', name) then change('depth', name, sum - known) end
  return #buckets + 1
end

-- Those that want their slots again are suspended, orphans have a site.
local function verify_waiting(set)
  local field = set == root .. ':resuming' and 'suspended' or 'site'
  for _, id in ipairs(some_of(set)) do
    if call('HEXISTS', root .. ':run:' .. id, field) == 0 and violated('ghost', id) then call('ZREM', set, id) end
  end
  return SOME
end
