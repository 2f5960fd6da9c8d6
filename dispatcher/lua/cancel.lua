-- cancel: end what waits, ask the worker to end what runs.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          reason    str   word of the reason table
-- REST     run ids, 64 at most
-- RETURNS  {more, status of each: 'cancelled' | 'cancelling' | 'already' (terminal) | 'missing'}
--
-- Repeatable. A run in a worker's hands keeps its slots until that worker finishes it.
-- include: state clock events bucket config cancelling settle
local reply = {0}
for _, id in ipairs(rest) do reply[#reply + 1] = cancel_run(id, reason) end
reply[1] = settle(nil) and 1 or 0
write_events()
return reply
