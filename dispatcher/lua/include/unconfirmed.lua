-- unconfirmed: runs that were pushed to workers which said nothing since. Others get them, under new tokens.
-- include: losing workers
local function take_back_unconfirmed()
  local taken = 0
  for _, name in ipairs(call('ZRANGEBYSCORE', root .. ':pushed', '-inf', now, 'LIMIT', 0, 16)) do
    local worker = read_worker(name)
    worker.pushed = worker.pushed or 0
    local ids = call('ZRANGEBYSCORE', worker.held, worker.pushed, '+inf', 'LIMIT', 0, 64)
    for _, id in ipairs(ids) do take_back(read_record(id), read_claim(id), worker) end
    taken = taken + #ids
    if #ids < 64 then confirm(worker) end
  end
  flush_released()
  return taken
end
