-- waiters: whether those that are parked under a key will be woken (I2, rules W and H of parking).
-- include: parking violations
local LOOKED_AT = 64

local function has_key(bucket, key)
  for _, one in ipairs(bucket.keys) do
    if one == key then return true end
  end
  return false
end

-- While a key has room, one of its buckets in each class that waits for it is awake: when it is served, it wakes the
-- next. Where there are too many to look at, nothing is said.
local function has_awake(class, key)
  local names = call('ZRANGE', root .. ':awake:' .. class, 0, LOOKED_AT)
  if #names > LOOKED_AT then return true end
  for _, name in ipairs(names) do
    if has_key(parse_bucket(name), key) then return true end
  end
  return false
end

local function is_swept(key)
  return call('HEXISTS', root .. ':sweeps', 'key ' .. key) == 1
    or call('HEXISTS', root .. ':sweeps', 'kind ' .. string.match(key, '^[^:]*')) == 1
end

local function verify_waiters(key)
  if key_room(key) <= 0 or is_swept(key) then return 1 end
  for _, class in ipairs(call('ZRANGE', root .. ':waiting:' .. key, 0, LOOKED_AT - 1)) do
    if not has_awake(class, key) and violated('unwoken', class .. '|' .. key) then wake_waiter(key, class) end
  end
  return LOOKED_AT
end
