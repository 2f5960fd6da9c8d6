-- sweep: go on with bulk edits and with what a bound left unadmitted.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
-- RETURNS  {more}
--
-- Repeatable; whoever made the edit calls it while `more`, the dispatchers' tick does the same.
-- include: state clock events bucket config sweep settle
local more = sweep(256)
more = settle(nil) or more
write_events()
return {more and 1 or 0}
