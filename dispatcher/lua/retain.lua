-- retain: forget finished runs that are older than the pool keeps them, or more than it keeps.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          most      int   runs looked at
-- RETURNS  {forgotten, more, 1 where runs in other pools are to be cancelled (`root:abroad`)}
--
-- No record goes within 120 s of its end: a client may still resend its publish.
-- include: clock
local SAFE = 120000
local row = call('HMGET', root, 'retention_ms', 'retention_count')
local age, keep = tonumber(row[1] or '') or 86400000, tonumber(row[2] or '') or 100000
local finished = root .. ':finished'
local spare = call('XLEN', finished) - keep
local forgotten, gone = 0, {}
local entries = call('XRANGE', finished, '-', '+', 'COUNT', most)
for i, entry in ipairs(entries) do
  local old = now - tonumber(string.match(entry[1], '^%d+'))
  if old < SAFE or (old < age and i > spare) then break end
  local id = entry[2][2]
  call('UNLINK', root .. ':r:' .. id, root .. ':log:' .. id, root .. ':children:' .. id)
  call('ZREM', root .. ':dead', id)
  gone[#gone + 1] = entry[1]
  forgotten = forgotten + 1
end
if forgotten > 0 then call('XDEL', finished, unpack(gone)) end
return {forgotten, forgotten == most and 1 or 0, call('EXISTS', root .. ':abroad')}
