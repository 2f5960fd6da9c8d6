-- config: what people set on the pool, its queues and its keys, read once a call.
local pool = nil
local queues, limits, counts = {}, {}, {}

local function read_pool()
  if not pool then
    local row = call('HMGET', root, 'type', 'limit', 'paused', 'crashes')
    pool = {
      type = row[1], limit = tonumber(row[2] or ''), paused = row[3] == '1', crashes = tonumber(row[4] or '') or 3,
    }
  end
  return pool
end

local function read_queue(name)
  local queue = queues[name]
  if not queue then
    local row = call('HMGET', root .. ':queue:' .. name, 'priority', 'limit', 'paused', 'out', 'deleting')
    queue = {
      name = name, priority = tonumber(row[1] or ''), limit = tonumber(row[2] or ''),
      paused = row[3] == '1', out = row[4] == '1', deleting = row[5] == '1',
    }
    queues[name] = queue
  end
  return queue
end

-- A key's limit: the exact name, else `kind:*`; none is no limit.
local function read_limit(key)
  local limit = limits[key]
  if limit == nil then
    local row = call('HMGET', root .. ':limits', key, string.match(key, '^[^:]*') .. ':*')
    limit = tonumber(row[1] or row[2] or '') or false
    limits[key] = limit
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

local function pool_room()
  local settings = read_pool()
  if settings.paused then return 0 end
  if not settings.limit then return math.huge end
  return settings.limit - count(root .. ':slots')
end
