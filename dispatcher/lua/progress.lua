-- progress: how far runs are, in a few words.
--
-- KEYS     root      the pool
-- ARGV     name      str   the worker's id
-- REST     per run: id, token, words
-- RETURNS  status of each: 'ok' | 'stale'
--
-- Fenced by worker and token; the last one counts. 60 bytes are kept: longer values would cost the run's facts their
-- compact form.
local reply = {}
for i = 1, #rest, 3 do
  local facts = root .. ':run:' .. rest[i]
  local row = call('HMGET', facts, 'worker', 'token')
  local holds = row[1] == name and row[2] == rest[i + 1]
  if holds then call('HSET', facts, 'progress', string.sub(rest[i + 2], 1, 60)) end
  reply[#reply + 1] = holds and 'ok' or 'stale'
end
return reply
