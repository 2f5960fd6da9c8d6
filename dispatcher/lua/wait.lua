-- wait: the result of runs that are over; for the others, a line in the client's reply stream when they end.
--
-- KEYS     root      the pool
-- ARGV     client    str   names the reply stream
-- REST     run ids, 64 at most
-- RETURNS  per run {state, facts} when terminal, '' when it will be told, 0 when there is no such run
--
-- Repeatable. The record is the truth: a lost line is a second call.
-- include: record
local reply = {}
for i, id in ipairs(rest) do
  local record = read_record(id)
  if not record then
    reply[i] = 0
  elseif record.facts then
    reply[i] = {cmsgpack.unpack(record.facts)[1], record.facts}
  else
    call('SADD', root .. ':listeners:' .. id, client)
    write_flags(record, HAS_LISTENERS)
    reply[i] = ''
  end
end
return reply
