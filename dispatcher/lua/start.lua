-- start: infrastructure of pending runs is up; they are running from now on.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          name      str   the worker's id
-- REST     per run: id, token, infrastructure id
-- RETURNS  {'ok', status of each: 'started' | 'already' | 'cancelling' | 'stale'} or {'gone'}
--
-- Fenced by worker and token; repeatable.
-- include: state clock events bucket config runs workers
local worker = read_worker(name)
if not is_live(worker) then return {'gone'} end
renew(worker)
confirm(worker)
local reply = {'ok'}
for i = 1, #rest, 3 do
  local id, token = rest[i], rest[i + 1]
  local facts = read_facts(id)
  local status = 'stale'
  if facts and facts.worker == name and facts.token == token then
    status = facts.state == 'pending' and 'started' or facts.state == 'running' and 'already' or 'cancelling'
    if status == 'started' then
      call('HSET', root .. ':run:' .. id, 'state', 'running', 'started', now, 'infrastructure', rest[i + 2])
      event('started', name, id)
    end
  end
  reply[#reply + 1] = status
end
write_events()
return reply
