-- rank: one sequence a pool orders classes, buckets and waiters: what gets a rank later is served later.
local function next_rank()
  return call('INCR', root .. ':rank')
end
