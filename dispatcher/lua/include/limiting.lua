-- limiting: the limit of a key, or of `kind:*`, and what becomes of one more run while it is full.
-- include: parking sweep

-- `limit` '' clears; `when_full` is wait, skip, replace or wait_one. What is there already is present, as the oldest.
local function set_limit(key, limit, when_full)
  local said = when_full == 'wait' and limit or limit .. ',' .. when_full
  local kind = string.match(key, '^([^:]*):%*$')
  if limit == '' then
    call('HDEL', root .. ':limits', key)
  else
    local before = call('HGET', root .. ':limits', key)
    call('HSET', root .. ':limits', key, said)
    if when_full ~= 'wait' then
      call('HSET', root, 'full', 1)
      if not kind and not string.find(before or '', ',', 1, true) then
        local present = root .. ':present:' .. key
        call('ZUNIONSTORE', present, 2, present, root .. ':slots:key:' .. key, 'WEIGHTS', 1, 0, 'AGGREGATE', 'MAX')
      end
    end
  end
  limits, policies, pool = {}, {}, nil
  event('limit', key, limit == '' and '-' or said)
  if kind then
    call('HSET', root .. ':sweeps', 'kind ' .. kind, '')
  elseif key_room(key) > 0 then
    wake_key(key)
  end
end
