-- cancel: end what waits, ask the worker to end what runs.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          reason    str   word of the reason table
--          tree      int   1: take the children of these runs along, and theirs
-- REST     run ids, 64 at most
-- RETURNS  {more, status of each: 'cancelled' | 'cancelling' | 'already' (terminal) | 'missing'}
--
-- Repeatable. A run in a worker's hands keeps its slots until that worker finishes it. A tree is a sweep: the caller
-- goes on with `sweep` while `more`; when it dies, the dispatchers finish it.
-- include: state clock events bucket config cancelling sweep settle
local reply = {0}
for _, id in ipairs(rest) do
  reply[#reply + 1] = cancel_run(id, reason)
  if tree == 1 then cancel_children(id) end
end
local more = tree == 1 and sweep(64)
reply[1] = (settle(nil) or more) and 1 or 0
write_events()
return reply
