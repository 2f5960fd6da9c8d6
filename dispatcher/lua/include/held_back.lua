-- held_back: how many queued runs limits of keys hold back, in as many buckets as can be looked at in a call. Those in
-- further buckets count as if their keys had room.
-- include: bucket config rooms
local BUCKETS_A_CALL, BUCKETS_A_QUEUE = 256, 64
local looked_at, left = 0, {}

local function left_of(key)
  if not left[key] then left[key] = math.max(0, key_room(key)) end
  return left[key]
end

-- Awake buckets of a queue, then parked ones.
local function buckets_of(queue)
  local most = math.min(BUCKETS_A_QUEUE, BUCKETS_A_CALL - looked_at)
  local names, from, to = {}, '[' .. queue .. '|', '(' .. queue .. '}'
  if most <= 0 then return names end
  for _, class in ipairs(call('ZRANGE', root .. ':classes:' .. queue, 0, most - 1)) do
    if #names == most then break end
    local awake = call('ZRANGE', root .. ':awake:' .. class, 0, most - #names - 1)
    for _, name in ipairs(awake) do names[#names + 1] = name end
  end
  if #names < most then
    local parked = call('ZRANGEBYLEX', root .. ':parked', from, to, 'LIMIT', 0, most - #names)
    for _, name in ipairs(parked) do names[#names + 1] = name end
  end
  looked_at = looked_at + #names
  return names
end

-- As many of its runs as `room` lets in take a slot of each key from those that are looked at after them.
local function held_back_in(name, room)
  local bucket, most = parse_bucket(name), math.huge
  for _, key in ipairs(bucket.keys) do most = math.min(most, left_of(key)) end
  if most == math.huge then return 0, 0 end
  local waiting = call('XLEN', root .. ':backlog:' .. name) + call('ZCARD', root .. ':front:' .. name)
  local taken = math.min(waiting, most, room)
  for _, key in ipairs(bucket.keys) do left[key] = left[key] - taken end
  return math.max(0, waiting - most), taken
end

local function held_back(queue)
  local room, sum = queue_room(queue), 0
  if room <= 0 then return 0 end
  for _, name in ipairs(buckets_of(queue.name)) do
    local held, taken = held_back_in(name, room)
    sum, room = sum + held, room - taken
  end
  return sum
end
