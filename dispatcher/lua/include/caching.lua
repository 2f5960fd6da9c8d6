-- caching: results that later runs with the same cache key take over. The record of the run that has it is the truth.

-- `caching:<run>` is its time to live in ms and its key.
local function note_cache(id, key, ttl)
  call('SET', root .. ':caching:' .. id, string.format('%.0f %s', ttl, key))
end

local function cache_result(id, state)
  local ttl, key = string.match(call('GET', root .. ':caching:' .. id) or '', '^(%d+) (.*)$')
  call('DEL', root .. ':caching:' .. id)
  if key and state == 'completed' then call('SET', root .. ':cache:' .. key, id, 'PX', ttl) end
end

local function cached_result(key)
  local id = call('GET', root .. ':cache:' .. key)
  local record = id and read_record(id)
  local facts = record and record.facts and cmsgpack.unpack(record.facts)
  return facts and facts[1] == 'completed' and facts[11] or nil
end
