-- log: add lines to the logs of runs.
--
-- KEYS     root      the pool
-- REST     per chunk: run id, claim token, sequence, cut, lines, bytes, packed lines
--          the sequence grows from chunk to chunk of a claim; `cut` lines were lost before these; `lines` and `bytes`
--          (of text alone) are what the packed lines hold; packed lines are msgpack [[ms, level, text], ...] or ''
-- RETURNS  for each chunk 'ok' | 'full' (whatever comes now is only counted) | 'already' | 'stale' (a later claim
--          has written, or something that is no worker) | 'missing' (no such run, or forgotten by now)
-- FLAGS    deny-oom
--
-- Repeatable: the last entry says which claim wrote last, and how far that one is. No log outlives its run's record.
local LINES, BYTES, CHUNK = 10000, 1000000, 7

local function last_of(log)
  local entry = call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if not entry then return {token = 0, sequence = 0, lines = 0, bytes = 0, cut = 0} end
  local token, sequence, lines, bytes, cut, full = string.match(entry[2][2], '^(%d+):(%d+):(%d+):(%d+):(%d+):(%d)$')
  if not token then return nil end
  return {
    token = tonumber(token), sequence = tonumber(sequence), lines = tonumber(lines), bytes = tonumber(bytes),
    cut = tonumber(cut), full = full == '1', marker = entry[2][4] == '' and entry[1],
  }
end

-- The first lines, up to the one that is too many or too large: how many, their bytes, and they themselves.
local function fitting(packed, lines, bytes)
  local kept, size = {}, 0
  for i, line in ipairs(cmsgpack.unpack(packed)) do
    if i > lines or size + #line[3] > bytes then break end
    kept[i] = line
    size = size + #line[3]
  end
  return #kept, size, #kept > 0 and cmsgpack.pack(kept) or ''
end

-- What follows an entry without lines takes its place: it counts all that was cut.
local function write(log, last, packed)
  call('XADD', log, '*', 'h', string.format('%.0f:%.0f:%d:%d:%d:%d', last.token, last.sequence, last.lines,
    last.bytes, last.cut, last.full and 1 or 0), 'l', packed)
  if last.marker then call('XDEL', log, last.marker) end
  last.marker = nil
end

local function take(id, token, sequence, cut, lines, bytes, packed)
  local log = root .. ':log:' .. id
  if call('EXISTS', root .. ':r:' .. id) == 0 then return 'missing' end
  local last = last_of(log)
  if not last or token < last.token then return 'stale' end
  if token == last.token and sequence <= last.sequence then return 'already' end
  last.token, last.sequence, last.cut = token, sequence, last.cut + cut
  local given = lines
  if last.full then
    lines, packed = 0, ''
  elseif last.lines + lines > LINES or last.bytes + bytes > BYTES then
    lines, bytes, packed = fitting(packed, LINES - last.lines, BYTES - last.bytes)
    last.full = true
  end
  if lines > 0 then
    last.lines, last.bytes = last.lines + lines, last.bytes + bytes
    write(log, last, packed)
  end
  last.cut = last.cut + given - lines
  if lines == 0 or given > lines then write(log, last, '') end
  return last.full and 'full' or 'ok'
end

local reply = {}
for i = 1, #rest, CHUNK do
  reply[#reply + 1] = take(rest[i], tonumber(rest[i + 1]), tonumber(rest[i + 2]), tonumber(rest[i + 3]),
    tonumber(rest[i + 4]), tonumber(rest[i + 5]), rest[i + 6])
end
return reply
