-- audit: a step of the pool's audit: what was told since its checkpoint, and, at the end of that, what there is.
--
-- KEYS     root      the pool
-- ARGV     now_ms      int   0: the server's clock
--          auditor     str   who asks; one at a time has the turn, for TURN_MS after each of its calls; '' only looks
--          position    str   the event up to which it has folded; 'checkpoint' to be told the kept one; 'anew' to
--                            begin with what there is: a kept checkpoint is of no use then, and counted as rebuilt
--          checkpoint  str   what it has folded up to `position`, kept; '' keeps the one before
--          most        int   events, 1,024 at most
--          compare     int   1: tell what there is, when all events are told
-- REST     what, word of violations that it found, recorded as events
-- RETURNS  {'elsewhere', ms until the turn may be had}, {'no_pool'}, {'gap', kept position},
--          {'checkpoint', position, checkpoint} (empty when there is none) or
--          {'ok', position, events {id, lines, ...}, more, what there is}
--          what there is: {} or {runs that wait, ids that hold a slot of the pool or how many, suspended ids (only
--          as one begins anew), what an idle worker faces or ''}
--
-- Repeatable: it is told the same events again until it moves its position. Only who has the turn moves the checkpoint.
-- Events behind the checkpoint are trimmed here; writers trim only at four times that length, whatever was folded.
-- include: state clock events config rooms facing totals
local TURN_MS, KEPT, MOST_IDS = 5000, 4096, 4096
local audit = root .. ':audit'
local stream = root .. ':events'
if call('EXISTS', root) == 0 then return {'no_pool'} end
local row = call('HMGET', audit, 'auditor', 'until', 'position', 'checkpoint')
local until_ms = math.min(tonumber(row[2] or '') or 0, now + TURN_MS)
if auditor ~= '' then
  if row[1] ~= auditor and until_ms > now then
    if row[2] ~= string.format('%.0f', until_ms) then call('HSET', audit, 'until', until_ms) end -- a clock was set back
    return {'elsewhere', until_ms - now}
  end
  call('HSET', audit, 'auditor', auditor, 'until', now + TURN_MS)
end
if position == 'checkpoint' then return {'checkpoint', row[3] or '', row[4] or ''} end

local function slot_holders()
  local n = call('ZCARD', root .. ':slots')
  return n <= MOST_IDS and call('ZRANGE', root .. ':slots', 0, -1) or n
end

-- Of all workers, dead ones too: it is asked for once, when an audit begins.
local function suspended_runs()
  local ids = {}
  for _, queue in ipairs(call('ZRANGE', root .. ':queues', 0, -1)) do
    for _, id in ipairs(call('ZRANGE', root .. ':suspended:queue:' .. queue, 0, -1)) do ids[#ids + 1] = id end
  end
  return ids
end

local function what_there_is(anew)
  return {total(root .. ':depth') + total(root .. ':later'), slot_holders(), anew and suspended_runs() or {}, facing()}
end

for i = 1, #rest, 2 do event('violated', rest[i], rest[i + 1]) end
write_events()
if position == 'anew' then
  if auditor ~= '' and call('HDEL', audit, 'position', 'checkpoint') > 0 then call('HINCRBY', audit, 'rebuilt', 1) end
  local last = call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  return {'ok', last and last[1] or '0-0', {}, 0, what_there_is(true)}
end
local entries = call('XRANGE', stream, position, '+', 'COUNT', math.min(most, 1024) + 1)
local from_start = position == '0-0'
if not from_start and (#entries == 0 or entries[1][1] ~= position) then return {'gap', row[3] or ''} end
local told, more = {}, #entries > most
for i = from_start and 1 or 2, #entries do
  told[#told + 1] = entries[i][1]
  told[#told + 1] = entries[i][2][2]
end
if checkpoint ~= '' and auditor ~= '' then
  call('HSET', audit, 'position', position, 'checkpoint', checkpoint)
  if not more then call('XTRIM', stream, 'MAXLEN', '~', KEPT) end
end
local reached = #entries > 0 and entries[#entries][1] or position
return {'ok', reached, told, more and 1 or 0, not more and compare == 1 and what_there_is(false) or {}}
