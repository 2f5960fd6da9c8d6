-- entering: what becomes of a run that is to enter the backlog, where one of its keys says `when_full`.
-- skip: it ends at once while as many of that key are present as its limit has slots; wait_one: while one more is.
-- replace: it enters, and the oldest ones are cancelled. Those that come back, or try again, entered before.
-- include: rooms cancelling
local REPLACED_AT_ONCE = 64

local function is_skipped(bucket)
  for _, key in ipairs(bucket.keys) do
    local limit = read_limit(key)
    local policy = policies[key]
    if policy == 'skip' or policy == 'wait_one' then
      local most = limit + (policy == 'wait_one' and 1 or 0)
      if call('ZCARD', root .. ':present:' .. key) >= most then return true end
    end
  end
  return false
end

local function replace_oldest(key, limit)
  local present = root .. ':present:' .. key
  local surplus = math.min(call('ZCARD', present) - limit + 1, REPLACED_AT_ONCE)
  if surplus <= 0 then return end
  for _, id in ipairs(call('ZRANGE', present, 0, surplus - 1)) do
    call('ZREM', present, id)
    cancel_run(id, 'replaced')
  end
end

local function join_presence(bucket, id)
  for _, key in ipairs(bucket.keys) do
    local limit = read_limit(key)
    local policy = policies[key]
    if policy == 'replace' then replace_oldest(key, limit) end
    if policy then call('ZADD', root .. ':present:' .. key, next_rank(), id) end
  end
end

-- Whether it may enter; then it is present.
local function may_enter(bucket, id)
  if is_skipped(bucket) then return false end
  join_presence(bucket, id)
  return true
end
