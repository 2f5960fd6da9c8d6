-- taking: runs that come back to the front of their bucket, and runs that leave it, at its head or in its middle.
-- include: backlog parking

local RETURNED_AT_ONCE = 64

-- Back in its old place: the score is the original entry, 12 bits of its sequence kept (exact until the year 2090).
-- It is there when `flush_released` was called: one ZADD for all of them.
local function put_front(bucket, record)
  local was_empty = is_empty(bucket)
  local score = (record.ms - 1600000000000) * 4096 + math.min(record.seq, 4095)
  local members = returned[bucket]
  if not members then
    members = {}
    returned[bucket] = members
  end
  members[#members + 1] = string.format('%d', score)
  members[#members + 1] = record.id
  if #members == 2 * RETURNED_AT_ONCE then -- so that no call unpacks more than Lua's stack takes
    call('ZADD', bucket.front, unpack(members))
    returned[bucket] = nil
  end
  bucket.empty = false
  change('depth', bucket.queue, 1)
  if was_empty then awaken(bucket) end
end

-- Take up to `n` ids off the head; the bucket stays where it is even when that empties it.
local function take(bucket, n)
  local ids = call('ZRANGE', bucket.front, 0, n - 1)
  if #ids > 0 then call('ZREM', bucket.front, unpack(ids)) end
  if #ids < n then
    local entries = {}
    for _, entry in ipairs(call('XRANGE', bucket.stream, '-', '+', 'COUNT', n - #ids)) do
      entries[#entries + 1] = entry[1]
      ids[#ids + 1] = entry[2][2]
    end
    if #entries > 0 then call('XDEL', bucket.stream, unpack(entries)) end
  end
  bucket.empty = nil
  change('depth', bucket.queue, -#ids)
  return ids
end

-- Take one run out of the middle; false when it is not there.
local function remove(bucket, record)
  local found = call('ZREM', bucket.front, record.id)
  if found == 0 then found = call('XDEL', bucket.stream, string.format('%.0f-%.0f', record.ms, record.seq)) end
  if found == 0 then return false end
  bucket.empty = nil
  change('depth', bucket.queue, -1)
  if is_empty(bucket) then leave(bucket) end
  return true
end
