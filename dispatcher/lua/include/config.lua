-- config: what people set on the pool and its queues, read once a call.
local function read_pool()
  if not pool then
    local row = call('HMGET', root, 'type', 'limit', 'paused', 'crashes', 'resuming', 'full', 'ahead', 'orphans')
    pool = {
      type = row[1], limit = tonumber(row[2] or ''), paused = row[3] == '1', crashes = tonumber(row[4] or '') or 3,
      resuming = row[5] == '1', full = row[6] == '1',
      ahead = tonumber(row[7] or ''), orphans = row[8] == '1',
    }
  end
  return pool
end

local function read_queue(name)
  local queue = queues[name]
  if not queue then
    local row = call('HMGET', root .. ':queue:' .. name, 'priority', 'limit', 'paused', 'out', 'deleting',
      'start_within_ms')
    queue = {
      name = name, priority = tonumber(row[1] or ''), limit = tonumber(row[2] or ''),
      paused = row[3] == '1', out = row[4] == '1', deleting = row[5] == '1',
      within = tonumber(row[6] or '') or 60000,
    }
    queues[name] = queue
  end
  return queue
end
