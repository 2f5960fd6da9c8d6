-- intake: entries of a publish stream become runs or are rejected; answers with the entries that come next.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          publisher str   whose stream it is; '' for the one that all share
-- REST     per entry, 64 at most: its id, then run id, bucket, extra, spec as for publish; or '', reason, '', ''
-- RETURNS  {'ok', now, more, statuses, rejected, entries}; or {'no_pool'}
--          statuses: per entry 'accepted', 'exists', 'same', 'rejected', or 'gone' (somebody handled it before)
--          rejected: id and reason of entries that were too large to be handed out
--          entries: the head of the stream, {id, {field, value, ...}} each
-- FLAGS    deny-oom
--
-- Repeatable: an entry leaves its stream in the call that publishes or rejects it, and one that is gone is passed over.
-- Out of memory it stays, and is read again. Any number of dispatchers.
-- include: state clock events bucket config publishing entries settle
local ENTRY = 5

local function fault(id, name, spec)
  if #id > 64 or #spec > LARGEST or not string.match(name, '^[^|]+|[^|]*') then
    return 'the run has a bad id, bucket or size'
  end
  local queue = read_queue(parse_bucket(name).queue)
  return queue.deleting and 'work queue ' .. queue.name .. ' is being deleted: publish into another one'
end

local function take_in(entry, fields, id, name, extra, spec)
  local reason = id == '' and name or fault(id, name, spec)
  if reason then
    reject(entry, fields, reason)
    return 'rejected'
  end
  local status, known = string.match(publish(id, name, extra, spec) or 'accepted', '^(%a+) ?(.*)$')
  if status == 'same' then id = known end
  local reply = read_fields(fields).reply
  remove_entry(entry)
  answer(reply, entry, status, id, '')
  listen(reply, id)
  return status
end

if not read_pool().type then return {'no_pool'} end
local statuses = {}
for i = 1, #rest, ENTRY do
  local entry = find_entry(rest[i])
  local status = entry and take_in(rest[i], entry[2], rest[i + 1], rest[i + 2], rest[i + 3], rest[i + 4])
  statuses[#statuses + 1] = status or 'gone'
end
local entries, rejected = next_entries()
rewind()
local more = settle(nil)
write_events()
return {'ok', now, more and 1 or 0, statuses, rejected, entries}
