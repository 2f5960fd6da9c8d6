-- facing: an idle worker and a class that it could be given a run of, as words; '' when there is no such pair. Between
-- two calls there is none (I2), unless a bound stopped a settle or a sweep is open.
local function is_idle(name)
  local lease = tonumber(call('ZSCORE', root .. ':workers', name) or '')
  return lease and lease > now and call('HGET', root .. ':worker:' .. name, 'state') == 'online'
end

local function facing()
  if pool_room() <= 0 or call('EXISTS', root .. ':sweeps') == 1 then return '' end
  for _, lane in ipairs(call('SMEMBERS', root .. ':idle')) do
    local class = call('ZRANGE', root .. ':ready:' .. lane, 0, 0)[1]
    local name = class and call('ZREVRANGE', root .. ':idle:' .. lane, 0, 0)[1]
    if name and is_idle(name) then
      local bucket = call('ZRANGE', root .. ':awake:' .. class, 0, 0)[1] or ''
      local entry = call('XRANGE', root .. ':backlog:' .. bucket, '-', '+', 'COUNT', 1)[1]
      return table.concat({name, bucket, entry and entry[1] or ''}, ' ')
    end
  end
  return ''
end
