-- adopting: a worker with room takes the orphans of its site, those that wait longest first, before anything queued.
-- include: orphans rooms holding orders workers
local function adopt_some(worker)
  local site, room = call('HGET', root .. ':worker:' .. worker.name, 'site'), worker_room(worker)
  if not site or room <= 0 then return end
  for _, id in ipairs(call('ZRANGE', root .. ':orphans:' .. site, 0, math.min(room, 64) - 1)) do
    local facts = read_facts(id)
    worker.number = worker.number + 1
    hold(worker.held, {worker.number, id})
    call('HSET', root .. ':run:' .. id, 'worker', worker.name)
    call('HSET', root .. ':worker:' .. worker.name, 'number', worker.number)
    end_orphanhood(id, site)
    event('adopted', worker.name, id)
    if facts.state == 'cancelling' then order_cancel(worker.name, id, facts.token) end
  end
  if worker_room(worker) <= 0 then delist(worker) end
end
