-- workers: a worker as this call sees it, its lease, and whether it is listed as idle.

local function read_worker(name)
  local worker = workers[name]
  if not worker then
    local row = call('HMGET', root .. ':worker:' .. name, 'lane', 'capacity', 'number', 'state', 'auto', 'lease',
      'suspended', 'pushed')
    worker = {
      name = name, lane = row[1], capacity = tonumber(row[2] or ''), number = tonumber(row[3] or ''),
      state = row[4], auto = row[5] == '1', lease = tonumber(row[6] or ''), held = root .. ':slots:worker:' .. name,
      suspended = row[7] == '1', pushed = tonumber(row[8] or ''),
    }
    workers[name] = worker
  end
  return worker
end

local function list_idle(worker)
  call('ZADD', root .. ':idle:' .. worker.lane, now_text, worker.name)
  call('SADD', root .. ':idle', worker.lane)
end

local function delist(worker)
  local idle = root .. ':idle:' .. worker.lane
  call('ZREM', idle, worker.name)
  if call('EXISTS', idle) == 0 then call('SREM', root .. ':idle', worker.lane) end
end

local function renew(worker)
  call('ZADD', root .. ':workers', now + worker.lease, worker.name)
end

-- It was heard of since runs were pushed to it: they are in its hands, or come with the reply.
local function confirm(worker)
  if not worker.pushed then return end
  worker.pushed = nil
  call('HDEL', root .. ':worker:' .. worker.name, 'pushed')
  call('ZREM', root .. ':pushed', worker.name)
end

local function is_live(worker)
  return worker.state == 'online' or worker.state == 'draining'
end
