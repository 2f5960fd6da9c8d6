-- claiming: what a worker is given with a run: its words and spec, in the reply or by a letter.
-- include: record workers

-- The run's facts for this claim; the worker's words, `number:token:attempt:crashes:id`, and since when it waits.
local function claim(record, worker)
  local attempt, crashes, token, entered = '1', '0', now_text, record.ms
  local facts = root .. ':run:' .. record.id
  if has(record.flags, HAS_FACTS) then
    local row = call('HMGET', facts, 'attempt', 'crashes', 'token', 'entered')
    attempt, crashes = row[1], row[2] or '0'
    token = string.format('%.0f', math.max(now, tonumber(row[3]) + 1))
    entered = math.max(entered, tonumber(row[4] or '') or 0)
    call('HDEL', facts, 'started', 'infrastructure', 'reason', 'progress', 'verdict')
  end
  worker.number = worker.number + 1
  call('HSET', facts, 'state', worker.auto and 'running' or 'pending', 'attempt', attempt, 'token', token,
    'worker', worker.name, 'admitted', now_text)
  return worker.number .. ':' .. token .. ':' .. attempt .. ':' .. crashes .. ':' .. record.id, entered
end

local function give(worker, words, record, caller)
  local spec = #record.raw <= 16384 and spec_of(record) or ''
  if caller and worker.name == caller.name then
    given[worker.number] = {words, spec}
    return
  end
  local list = pushes[worker.name]
  if not list then
    list = {}
    pushes[worker.name] = list
    pushed[#pushed + 1] = worker
  end
  list[#list + 1] = words
  list[#list + 1] = spec
end

-- A pushed worker leaves the idle index until its next turn, so a frozen one holds one push, and that one not for long:
-- see tick.
local function push()
  for _, worker in ipairs(pushed) do
    local inbox = root .. ':inbox:' .. worker.name
    call('XADD', inbox, 'MAXLEN', '~', 8, '*', unpack(pushes[worker.name]))
    call('PEXPIRE', inbox, worker.lease * 4)
    delist(worker)
  end
end
