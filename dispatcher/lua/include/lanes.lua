-- lanes: a lane is a distinct worker filter, `name,prefix*|label,label|only`; empty names mean every queue.
-- ready:<lane> holds the classes that lane may take, best first; ready: itself holds all of them.
-- include: rank
local lane_list, class_lanes = nil, {}

local function list_has(list, word)
  return string.find(',' .. list .. ',', ',' .. word .. ',', 1, true) ~= nil
end

local function names_match(names, queue)
  if names == '' or list_has(names, queue) then return true end
  for prefix in string.gmatch(names, '([^,]+)%*') do
    if string.sub(queue, 1, #prefix) == prefix then return true end
  end
  return false
end

local function lane_takes(lane, class)
  local names, labels, only = string.match(lane, '^([^|]*)|([^|]*)|([^|]*)$')
  local queue, required = string.match(class, '^([^|]*)|([^|]*)$')
  if only ~= '' and (required == '' or required == '~ahead') then return false end
  for label in string.gmatch(required, '[^,]+') do
    if not list_has(labels, label) then return false end
  end
  return names_match(names, queue)
end

-- The ready sets a class belongs in.
local function lanes_of(class)
  local found = class_lanes[class]
  if found then return found end
  lane_list = lane_list or call('SMEMBERS', root .. ':lanes')
  found = {root .. ':ready:'}
  for _, lane in ipairs(lane_list) do
    if lane_takes(lane, class) then found[#found + 1] = root .. ':ready:' .. lane end
  end
  class_lanes[class] = found
  return found
end

-- What is prepared ahead comes after all that is due, see early.
local function ready(class, queue)
  local after = string.find(class, '~ahead', 1, true) and 10000 or 0
  local score = (queue.priority + after) * PRIORITY_STEP + next_rank() % PRIORITY_STEP
  for _, lane in ipairs(lanes_of(class)) do call('ZADD', lane, score, class) end
end

local function unready(class)
  for _, lane in ipairs(lanes_of(class)) do call('ZREM', lane, class) end
end
