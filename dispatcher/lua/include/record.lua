-- record: the header of a run's record, the only part of it that scripts read.
-- `raw` is as it was read: what is written to the header later does not show in it, and need not in a final record.
-- version(1) flags(1) entry ms(6) entry seq(4) length(2) bucket [terminal: length(4) facts] spec; big endian.
local HAS_EXPIRY, HAS_LISTENERS, HAS_FACTS, TERMINAL, CACHES, AHEAD = 1, 2, 4, 8, 16, 32
local HEADER = '>BBI6I4I2'

local function has(flags, flag)
  return flags % (2 * flag) >= flag
end

local function read_record(id)
  local key = root .. ':r:' .. id
  local raw = call('GET', key)
  if not raw then return nil end
  local _, flags, ms, seq, size = struct.unpack(HEADER, raw)
  local bucket = string.sub(raw, 15, 14 + size)
  local record = {id = id, key = key, raw = raw, flags = flags, ms = ms, seq = seq, bucket = bucket}
  if has(flags, TERMINAL) then
    record.facts = string.sub(raw, 19 + size, 18 + size + struct.unpack('>I4', raw, 15 + size))
  end
  return record
end

-- Of a run that is not over.
local function spec_of(record)
  return string.sub(record.raw, 15 + #record.bucket)
end

local function write_flags(record, flag)
  if has(record.flags, flag) then return end
  record.flags = record.flags + flag
  call('SETRANGE', record.key, '1', string.char(record.flags)) -- see now_text
end

-- The whole record is written anew: its name has another length.
local function write_bucket(record, name)
  local spec = string.sub(record.raw, 15 + #record.bucket)
  record.bucket = name
  record.raw = struct.pack(HEADER, 1, record.flags, record.ms, record.seq, #name) .. name .. spec
  call('SET', root .. ':r:' .. record.id, record.raw)
end

local function write_entry(record, entry)
  local ms, seq = string.match(entry, '^(%d+)-(%d+)$')
  record.ms, record.seq = tonumber(ms), tonumber(seq)
  call('SETRANGE', root .. ':r:' .. record.id, 2, struct.pack('>I6I4', record.ms, record.seq))
end
