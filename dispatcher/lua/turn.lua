-- turn: a worker's whole conversation: hand in what ended, be listed as idle, get the next runs.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          name      str   the worker's id
--          seen      int   the highest hand-off number it has without a gap
--          offer     int   1: it takes runs
-- REST     per end: id, token, outcome, argument, result
--          outcome completed | failed | cancelled | crashed (argument: reason), retry (argument: delay ms), return,
--          lost (its process died: charged one crash)
-- RETURNS  {'ok', now, more, last number, refusals {id, why, ...}, orders {drain or '', id, token, ...},
--          runs {words, spec, ...}} or {'gone'}; words are number:token:attempt:crashes:id; an empty spec: fetch it;
--          a run to adopt has its infrastructure behind its id and a space
--
-- Fenced by worker and token, absolute in its effect: sent twice it changes nothing the second time and answers with
-- the same runs, for the reply holds every hand-off above `seen`.
-- include: state clock events bucket config workers orders finish sweep settle
local END, UNSEEN = 5, 128
local worker = read_worker(name)
if not is_live(worker) then return {'gone'} end
renew(worker)
confirm(worker)

local refusals = {}
for i = 1, #rest, END do
  local why = finish(worker, rest[i], rest[i + 1], rest[i + 2], rest[i + 3], rest[i + 4])
  if why then
    refusals[#refusals + 1] = rest[i]
    refusals[#refusals + 1] = why
  end
end
flush_released()

local caller = nil
if offer == 1 and worker.state == 'online' then
  caller = worker
  if read_pool().orphans then
    -- here: adopting
    adopt_some(worker)
  end
  if worker_room(worker) > 0 then list_idle(worker) end
else
  delist(worker)
end
local more = sweep(64)
more = settle(caller) or more

-- A hand-off of an earlier call whose reply may be lost, or of a run that was adopted.
local function hand_off_again(number, id)
  local record, facts = read_record(id), read_facts(id)
  local words = string.format('%.0f:%s:%s:%d:%s', number, facts.token, facts.attempt, tonumber(facts.crashes) or 0, id)
  if facts.infrastructure ~= '' then words = words .. ' ' .. facts.infrastructure end
  return {words, #record.raw <= 16384 and spec_of(record) or ''}
end

local runs = {}
if seen < worker.number then
  local held = call('ZRANGEBYSCORE', worker.held, '(' .. seen, '+inf', 'WITHSCORES', 'LIMIT', 0, UNSEEN)
  if #held == 2 * UNSEEN then more = true end
  for i = 1, #held, 2 do
    local number = tonumber(held[i + 1])
    local run = given[number] or hand_off_again(number, held[i])
    runs[#runs + 1] = run[1]
    runs[#runs + 1] = run[2]
  end
end
write_events()
return {'ok', now, more and 1 or 0, worker.number, refusals, open_orders(worker), runs}
