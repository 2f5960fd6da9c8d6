-- ending: the end of a worker, in two steps, so that each call of it answers `gone` before its runs are taken back.
-- include: workers lanes ahead

-- workers: the end of a worker, in two steps, so that each call of it answers `gone` before its runs are taken back.
local function retire(worker)
  call('ZREM', root .. ':workers', worker.name)
  call('HSET', root .. ':worker:' .. worker.name, 'state', 'lost')
  call('SADD', root .. ':lost', worker.name)
  worker.state = 'lost'
  if worker.lane then delist(worker) end
  event('worker', 'lost', worker.name)
end

local function forget(worker)
  if call('ZREM', root .. ':ahead', worker.name) == 1 then write_ahead() end
  local site = call('HGET', root .. ':worker:' .. worker.name, 'site')
  if site then call('SREM', root .. ':site:' .. site, worker.name) end
  call('ZREM', root .. ':pushed', worker.name)
  call('SREM', root .. ':lost', worker.name)
  call('ZREM', root .. ':workers', worker.name)
  if worker.lane then
    delist(worker)
    call('SREM', root .. ':lane:' .. worker.lane, worker.name)
    if call('EXISTS', root .. ':lane:' .. worker.lane) == 0 then
      call('SREM', root .. ':lanes', worker.lane)
      call('DEL', root .. ':ready:' .. worker.lane)
      lane_list, class_lanes = nil, {}
    end
  end
  call('DEL', root .. ':worker:' .. worker.name, root .. ':inbox:' .. worker.name, root .. ':orders:' .. worker.name,
    root .. ':heartbeat:' .. worker.name, root .. ':suspended:worker:' .. worker.name, worker.held)
  event('worker', 'gone', worker.name)
end
