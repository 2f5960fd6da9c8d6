-- entries: of a publish stream, found, answered, rejected, and handed out to be read. Wants `publisher`.
-- include: record

-- An entry over LARGEST bytes is never handed out; a rejected one is kept up to HEAD bytes.
local LARGEST, HEAD, MOST = 1048576, 4096, 64
local LAST = '18446744073709551615-18446744073709551615'
local stream = root .. ':publish'
if publisher ~= '' then stream = root .. ':publish:' .. publisher end

local function find_entry(id)
  return call('XRANGE', stream, id, id, 'COUNT', 1)[1]
end

local function remove_entry(id)
  call('XDEL', stream, id)
end

-- What the fields say: size, format ('run' or 'run.mp', '' when it is not one run), its payload, who is to be told.
local function read_fields(fields)
  local known, size, odd = {}, 0, false
  for i = 1, #fields, 2 do
    local name = fields[i]
    size = size + #name + #fields[i + 1]
    odd = odd or known[name] or not (name == 'run' or name == 'run.mp' or name == 'reply')
    known[name] = fields[i + 1]
  end
  local reply = known.reply or ''
  if #reply > 63 or not string.match(reply, '^%w[%w._-]*$') then reply = '' end
  odd = odd or (known.reply and reply == '')
  local format = known.run and 'run' or 'run.mp'
  if odd or not known[format] or (known.run and known['run.mp']) then format = '' end
  return {size = size, format = format, payload = known[format], reply = reply}
end

-- Of an entry that is no run all of it is kept, so that people see what came.
local function first_bytes(read, fields)
  if read.payload then return string.sub(read.payload, 1, HEAD) end
  local parts, size = {}, 0
  for i = 1, #fields do
    parts[i] = string.sub(fields[i], 1, HEAD)
    size = size + #fields[i]
    if size > HEAD then break end
  end
  return string.sub(table.concat(parts, ' '), 1, HEAD)
end

local function answer(client, entry, status, run, reason)
  if client == '' then return end
  local reply = root .. ':reply:' .. client
  call('XADD', reply, 'MAXLEN', '~', 10000, '*', 'entry', entry, 'source', publisher == '' and 'intake' or publisher,
    'status', status, 'run', run, 'reason', reason)
  call('PEXPIRE', reply, 600000)
end

-- The end of the run will be told to this client too; at once when it is over already.
local function listen(client, id)
  local record = client ~= '' and read_record(id)
  if not record then return end
  call('SADD', root .. ':listeners:' .. id, client)
  if not record.facts then return write_flags(record, HAS_LISTENERS) end
  -- here: telling
  tell_listeners(record, cmsgpack.unpack(record.facts)[1], record.facts)
end

local function reject(entry, fields, reason)
  local read = read_fields(fields)
  local size = read.payload and #read.payload or read.size
  call('XADD', root .. ':rejected', 'MAXLEN', '~', 10000, '*', 'stream', string.sub(stream, #root + 2),
    'entry', entry, 'reason', reason, 'size', size, 'format', read.format, 'reply', read.reply,
    'head', first_bytes(read, fields))
  answer(read.reply, entry, 'rejected', '', reason)
  remove_entry(entry)
end

-- The head of the stream, up to 64 entries and 1 MB, never none while there is one. What is too large to be read is
-- rejected here, so that nobody else has to hold it.
local function next_entries()
  local found, rejected, size, from = {}, {}, 0, '-'
  for _ = 1, MOST do
    local entry = call('XRANGE', stream, from, '+', 'COUNT', 1)[1]
    if not entry then break end
    local bytes = read_fields(entry[2]).size
    if #found > 0 and size + bytes > LARGEST then break end
    if bytes > LARGEST then
      local reason = 'it is ' .. bytes .. ' bytes, ' .. LARGEST .. ' are read at most: pass large data by reference'
      reject(entry[1], entry[2], reason)
      rejected[#rejected + 1] = entry[1]
      rejected[#rejected + 1] = reason
    else
      found[#found + 1] = entry
      size = size + bytes
      if entry[1] == LAST then break end -- there is no `after` it
      from = '(' .. entry[1]
    end
  end
  return found, rejected
end

-- An id ahead of the clock can leave a stream without ids for `*`. An empty one begins anew then, at the clock, high in
-- this millisecond: an id that was used may never come again, two entries alike would be one run.
local function rewind()
  if call('EXISTS', stream) == 0 or call('XLEN', stream) > 0 then return end
  local info = call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' and tonumber(string.match(info[i + 1], '^%d+')) > now then
      local id = now_text .. '-4294967296'
      call('DEL', stream)
      call('XADD', stream, id, 'run', '')
      call('XDEL', stream, id)
    end
  end
end
