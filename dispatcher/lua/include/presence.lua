-- presence: runs that entered the backlog and are not over, for each key that says `when_full`, oldest first.
-- A key that said it once keeps its set until those runs are over: `full` of the pool is never taken back.
local function leave_presence(record)
  for _, key in ipairs(parse_bucket(record.bucket).keys) do call('ZREM', root .. ':present:' .. key, record.id) end
end
