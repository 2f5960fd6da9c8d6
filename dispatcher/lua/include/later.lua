-- later: how many runs of each queue are scheduled, counted anew from `due`, where that can be done at one look.
-- include: due violations
local DUE_AT_MOST = 256
local counted

-- Queue of a run that is not over, nil else. The head of its record is enough: a spec may be large.
local function queue_of_waiting(id)
  local head = call('GETRANGE', root .. ':r:' .. id, 0, 79)
  if head == '' or has(string.byte(head, 2), TERMINAL) then return nil end
  return string.match(head, '^([^|]*)|', 15)
end

-- By queue, less what this call has changed until then: so it holds whatever the call changes after. False where there
-- is too much in `due` to be counted.
local function count_later()
  if counted ~= nil then return counted end
  counted = false
  if call('ZCARD', root .. ':due') > DUE_AT_MOST then return false end
  counted = {}
  for queue, by in pairs(changes.later) do counted[queue] = -by end
  for _, member in ipairs(call('ZRANGE', root .. ':due', 0, DUE_AT_MOST - 1)) do
    local queue = string.sub(member, 1, 1) == 'r' and queue_of_waiting(string.sub(member, 2))
    if queue then counted[queue] = (counted[queue] or 0) + 1 end
  end
  return counted
end

-- A run that is in no place comes back into `due`. Where all are counted anew, so is this one, else it still counts.
local function put_due(record)
  if count_later() then change('later', parse_bucket(record.bucket).queue, 1) end
  add_due('r', record.id, now)
end

local function verify_later(name)
  if not count_later() then return 1 end
  local sum, known = counted[name] or 0, tonumber(call('HGET', root .. ':later', name) or 0)
  if sum ~= known and violated('miscounted', name) then
    change('later', name, sum - known)
    counted[name] = known
  end
  return sum + 1
end
