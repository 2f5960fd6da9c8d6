-- rooms: how many more runs a scope takes; 0 or less while it is full or paused.

-- A key's limit: the exact name, else `kind:*`; none is no limit. It may say `when_full` behind a comma.
local function read_limit(key)
  local limit = limits[key]
  if limit == nil then
    local row = call('HMGET', root .. ':limits', key, string.match(key, '^[^:]*') .. ':*')
    local said = row[1] or row[2] or ''
    limit = tonumber(said) or tonumber(string.match(said, '^%d+')) or false
    limits[key], policies[key] = limit, string.match(said, ',(.*)$')
  end
  return limit
end

-- How many runs a scope holds. Counted from the set at first use, then kept in step by this call.
local function count(scope)
  local n = counts[scope]
  if not n then
    n = call('ZCARD', scope)
    counts[scope] = n
  end
  return n
end

local function key_room(key)
  local limit = read_limit(key)
  if not limit then return math.huge end
  return limit - count(root .. ':slots:key:' .. key)
end

local function queue_room(queue)
  if queue.paused then return 0 end
  if not queue.limit then return math.huge end
  return queue.limit - count(root .. ':slots:queue:' .. queue.name)
end

-- A worker's capacity is for what it executes: what is suspended waits without a slot.
local function worker_room(worker)
  local room = worker.capacity - count(worker.held)
  if worker.suspended then room = room + count(root .. ':suspended:worker:' .. worker.name) end
  return room
end

local function pool_room()
  local settings = read_pool()
  if settings.paused then return 0 end
  if not settings.limit then return math.huge end
  return settings.limit - count(root .. ':slots')
end
