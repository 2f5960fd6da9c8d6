-- creating: a queue gets the first free priority unless one is given.

-- The set of used priorities is sorted and distinct, so rank r holds r + 1 exactly while there is no gap before it.
local function free_priority()
  local used = root .. ':priorities'
  local low, high = 0, call('ZCARD', used)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if tonumber(call('ZRANGE', used, middle, middle)[1]) == middle + 1 then low = middle + 1 else high = middle end
  end
  return low + 1
end

local function create_queue(name, priority)
  local queue = read_queue(name)
  queue.priority = priority or free_priority()
  call('HSET', root .. ':queue:' .. name, 'priority', queue.priority, 'created', now)
  call('ZADD', root .. ':queues', queue.priority, name)
  call('ZADD', root .. ':priorities', queue.priority, queue.priority)
  event('queue', 'created', name)
  return queue
end
