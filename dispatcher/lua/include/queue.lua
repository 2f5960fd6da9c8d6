-- queue: made on first use.
local function ensure_queue(name)
  local queue = read_queue(name)
  if queue.priority then return queue end
  -- here: creating
  return create_queue(name)
end
