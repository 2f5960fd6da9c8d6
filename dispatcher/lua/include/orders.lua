-- orders: what a worker is asked to do until it has done it.

-- `drain`, `stop` or '', then id and claim token of each run to cancel.
local function open_orders(worker)
  local how = ''
  if worker.state == 'draining' then
    how = call('HGET', root .. ':worker:' .. worker.name, 'stop') and 'stop' or 'drain'
  end
  local orders = {how}
  local row = call('HGETALL', root .. ':orders:' .. worker.name)
  for i = 1, #row do orders[i + 1] = row[i] end
  return orders
end

local function order_cancel(worker, id, token)
  call('HSET', root .. ':orders:' .. worker, id, token)
  call('XADD', root .. ':inbox:' .. worker, 'MAXLEN', '~', 8, '*', 'cancel', id .. ':' .. token)
end
