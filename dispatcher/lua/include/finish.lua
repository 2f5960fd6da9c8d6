-- finish: a worker ends its claim on a run. Fenced: only the worker and token that hold it change anything.
-- include: runs slots
local ENDS = {completed = true, failed = true, cancelled = true, crashed = true}

local function finish(worker, id, token, outcome, argument, result)
  local record = read_record(id)
  local facts = record and not record.facts and read_facts(id)
  if not facts or facts.worker ~= worker.name or facts.token ~= token then
    -- here: refusing
    return refusal(worker, record, facts, token)
  end
  if facts.state == 'cancelling' then call('HDEL', root .. ':orders:' .. worker.name, id) end
  if outcome == 'lost' then
    -- here: losing
    take_back(record, facts, worker)
    return nil
  end
  release(id, parse_bucket(record.bucket), worker.held, facts)
  if facts.state == 'cancelling' and not ENDS[outcome] then
    -- here: losing
    end_cancelling(record, facts, 'asked')
  elseif ENDS[outcome] then
    terminate(record, facts, outcome, argument, result)
  elseif outcome == 'retry' then
    -- here: retrying
    finish_again(record, facts, tonumber(argument), result)
  else
    -- here: losing
    requeue(record, facts, false)
  end
  return nil
end
