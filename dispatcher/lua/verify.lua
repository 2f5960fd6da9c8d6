-- verify: whether runs, slots and buckets are as they must be.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          repair    int   1: put right what can be, and record what was found as events
-- REST     what is looked at, 64 at most: keys of the pool without `root:`; others than r:, run:, slots, backlog:,
--          front:, queue:, waiting:, resuming and orphans are passed over
-- RETURNS  {now, things looked at, {what, word, ...}}
--          what    over_limit | unreachable | unwoken | lost | ghost | leaked | unslotted | stranded | doubled |
--                  miscounted
--          word    the run, scope, bucket or queue
--
-- Each call sees one moment, so what it finds is no race. Repeatable: what was put right is not found again. Of a large
-- set 64 members a call, at random.
-- include: state clock events bucket config workers losing orphans violations places scopes waiters settle
local looked = 0

local function look_at(name)
  local kind, word = string.match(name, '^([^:]*):?(.*)$')
  if kind == 'r' then
    looked = looked + verify_run(word)
  elseif kind == 'run' then
    looked = looked + verify_facts(word)
  elseif kind == 'slots' then
    looked = looked + verify_scope(root .. ':' .. name, word)
  elseif kind == 'backlog' or kind == 'front' then
    looked = looked + verify_bucket(word)
  elseif kind == 'queue' then
    looked = looked + verify_depth(word) + verify_later(word)
  elseif kind == 'waiting' and word ~= '' then
    looked = looked + verify_waiters(word)
  elseif kind == 'resuming' or (kind == 'orphans' and word == '') then
    looked = looked + verify_waiting(root .. ':' .. name)
  end
end

for _, name in ipairs(rest) do look_at(name) end
if repair == 1 and #violations > 0 then
  flush_released()
  settle(nil)
  write_events()
end
return {now, looked, violations}
