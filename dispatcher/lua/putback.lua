-- putback: rejected entries go back to the end of their publish streams, to be read once more.
--
-- KEYS     root      the pool
-- REST     ids of entries of `rejected`, 64 at most
-- RETURNS  per entry 'retried', 'missing', 'cut' (only its head was kept), 'odd' (it is no run) or 'no_publisher'
-- FLAGS    deny-oom
--
-- Repeatable: an entry leaves `rejected` as it goes back; asked again it is missing.
local rejected = root .. ':rejected'

local function put_back(id)
  local found = call('XRANGE', rejected, id, id, 'COUNT', 1)[1]
  if not found then return 'missing' end
  local entry = {}
  for i = 1, #found[2], 2 do entry[found[2][i]] = found[2][i + 1] end
  if entry.format == '' then return 'odd' end
  if tonumber(entry.size) > #entry.head then return 'cut' end
  local publisher = string.match(entry.stream, '^publish:(.+)$')
  if publisher and call('SISMEMBER', root .. ':publishers', publisher) == 0 then return 'no_publisher' end
  local stream = root .. ':' .. entry.stream
  local fields = {entry.format, entry.head}
  if entry.reply ~= '' then fields = {entry.format, entry.head, 'reply', entry.reply} end
  call('XADD', stream, '*', unpack(fields))
  call('XDEL', rejected, id)
  return 'retried'
end

local statuses = {}
for i, id in ipairs(rest) do statuses[i] = put_back(id) end
return statuses
