-- early: runs that a worker may prepare before they are due. They wait in buckets of their own, whose label only
-- workers that prefetch have, and whose classes come after all others.
-- include: rooms
local EARLY = '~ahead'

local function early_name(name)
  local queue, labels, keys = string.match(name, '^([^|]*)|([^|]*)(.*)$')
  return queue .. '|' .. (labels == '' and EARLY or labels .. ',' .. EARLY) .. keys
end

local function due_name(name)
  local queue, labels, keys = string.match(name, '^([^|]*)|([^|]*)(.*)$')
  labels = string.sub(labels, 1, -#EARLY - 1)
  return queue .. '|' .. (string.sub(labels, -1) == ',' and string.sub(labels, 1, -2) or labels) .. keys
end

local function is_early(name)
  return string.find(name, EARLY, 1, true) ~= nil
end

-- Not what is decided as it becomes due: whether a key is full, whether a result is cached.
local function may_be_early(bucket, cache)
  if cache ~= '' then return false end
  if not read_pool().full then return true end
  for _, key in ipairs(bucket.keys) do
    read_limit(key)
    if policies[key] then return false end
  end
  return true
end
