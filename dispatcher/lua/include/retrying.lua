-- retrying: the next attempt, now or later.
-- include: due counting

local function finish_again(record, facts, delay, result)
  local id = record.id
  call('HSET', root .. ':run:' .. id, 'state', delay > 0 and 'scheduled' or 'queued', 'worker', '',
    'attempt', tonumber(facts.attempt) + 1, 'error', result)
  write_flags(record, HAS_FACTS)
  add(tally_of(tallies, parse_bucket(record.bucket).queue), 'retried', 1)
  if delay > 0 then
    write_entry(record, '0-0')
    schedule(record, now + delay)
  else
    enter(record)
    event('retried', 'now', id)
  end
end
