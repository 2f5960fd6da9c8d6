-- heartbeat: renew the lease, show the worker to people, compare what both sides believe it holds.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          name      str   the worker's id
--          seen      int   the highest hand-off number it has without a gap
--          show      str   msgpack for people, kept for one lease
-- REST     ids it holds, of hand-offs up to `seen`, from one atomic snapshot
-- RETURNS  {'ok', now, orders {drain or '', id, token, ...}, foreign ids} or {'gone'}
--
-- When it has seen all that it was given, pushes are confirmed: its loop may be busy with one of them.
-- The list is audit, not the mechanism: a run missing from it twice in a row is taken back and charged;
-- foreign ids are those the worker names but does not hold here.
-- include: state clock events bucket config workers losing orders settle
local worker = read_worker(name)
if not is_live(worker) then return {'gone'} end
renew(worker)
if seen >= worker.number then confirm(worker) end
call('SET', root .. ':heartbeat:' .. name, show, 'PX', worker.lease)

local named, held, missing, foreign = {}, {}, {}, {}
for _, id in ipairs(rest) do named[id] = true end
for _, id in ipairs(call('ZRANGEBYSCORE', worker.held, '-inf', seen)) do
  held[id] = true
  if not named[id] then missing[#missing + 1] = id end
end
for _, id in ipairs(rest) do
  if not held[id] and not call('ZSCORE', worker.held, id) then foreign[#foreign + 1] = id end
end

local suspects = call('HGET', root .. ':worker:' .. name, 'missing') or ''
local still = {}
for _, id in ipairs(missing) do
  if string.find(' ' .. suspects .. ' ', ' ' .. id .. ' ', 1, true) then
    take_back(read_record(id), read_claim(id), worker)
  else
    still[#still + 1] = id
  end
end
if #still > 0 or suspects ~= '' then
  call('HSET', root .. ':worker:' .. name, 'missing', table.concat(still, ' '))
end
flush_released()
settle(nil)
write_events()
return {'ok', now, open_orders(worker), foreign}
