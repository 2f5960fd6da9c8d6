-- ahead: how long before they are due runs may be prepared: as the worker says that does it earliest.
local function write_ahead()
  local most = call('ZREVRANGE', root .. ':ahead', 0, 0, 'WITHSCORES')[2]
  if most then call('HSET', root, 'ahead', most) else call('HDEL', root, 'ahead') end
end
