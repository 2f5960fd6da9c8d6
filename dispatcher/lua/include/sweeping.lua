-- sweeping: the chunks of bulk edits.
-- include: parking lanes rooms cancelling
local SWEEPS = {}

SWEEPS.key = function(key, cursor, most)
  return wake_classes(key, cursor, most)
end

SWEEPS.kind = function(kind, cursor, most)
  local from = cursor == '' and '[' .. kind .. ':' or '(' .. cursor
  local keys = call('ZRANGEBYLEX', root .. ':waiting', from, '(' .. kind .. ';', 'LIMIT', 0, most)
  for _, key in ipairs(keys) do
    if key_room(key) > 0 then wake_key(key) end
  end
  return keys[#keys], #keys == most
end

SWEEPS.queue = function(name, cursor, most)
  local queue = read_queue(name)
  if not queue.priority or queue.out then return nil, false end
  return ready_classes(queue, cursor, most)
end

-- A new lane is filled best first. Ranks only grow, so what moves while this goes on is met again further back.
SWEEPS.lane = function(lane, cursor, most)
  if call('SISMEMBER', root .. ':lanes', lane) == 0 then return nil, false end
  local from = cursor == '' and '-inf' or '(' .. cursor
  local row = call('ZRANGEBYSCORE', root .. ':ready:', from, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
  for i = 1, #row, 2 do
    if lane_takes(lane, row[i]) then call('ZADD', root .. ':ready:' .. lane, row[i + 1], row[i]) end
  end
  return row[#row], #row == 2 * most
end

-- The children of a run that was cancelled with its tree, in the order of their birth.
SWEEPS.tree = function(parent, cursor, most)
  local from = cursor == '' and '-inf' or '(' .. cursor
  local row = call('ZRANGEBYSCORE', root .. ':children:' .. parent, from, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
  for i = 1, #row, 2 do
    if string.find(row[i], '@', 1, true) then -- whoever swept cancels it in its pool
      call('SADD', root .. ':abroad', row[i])
    else
      cancel_run(row[i], 'parent_cancelled')
      cancel_children(row[i])
    end
  end
  return row[#row], #row == 2 * most
end

local function sweep_some(most)
  local name = call('HKEYS', root .. ':sweeps')[1]
  if not name then return false end
  local kind, what = string.match(name, '^(%a+) (.*)$')
  local cursor, more = SWEEPS[kind](what, call('HGET', root .. ':sweeps', name), most)
  if more then call('HSET', root .. ':sweeps', name, cursor) else call('HDEL', root .. ':sweeps', name) end
  return call('EXISTS', root .. ':sweeps') == 1
end
