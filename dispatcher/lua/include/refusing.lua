-- refusing: why an end was not taken.

-- `already` when this very claim did it before; `stale` when it is not the holder's to say.
local function refusal(worker, record, facts, token)
  if not record then return 'stale' end
  if facts and facts.state ~= 'queued' and facts.state ~= 'scheduled' then return 'stale' end
  local last, by = facts and facts.token, facts and facts.worker
  if record.facts then
    local ended = cmsgpack.unpack(record.facts)
    last, by = string.format('%.0f', ended[5]), ended[6] ~= worker.name and ended[6] or ''
  end
  return last == token and by == '' and 'already' or 'stale'
end
