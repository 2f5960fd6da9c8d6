-- agenda: what a scheduler has to do in this pool: schedules, soonest first, and deployments on their way elsewhere.
--
-- KEYS     root      the pool
-- ARGV     now_ms    int   0: the server's clock
--          most      int   schedules told
-- RETURNS  {now, ms before their time that runs may be published, {slug, target, ...},
--          {schedule, next instant ms, edition of its deployment, ...}}
--
-- Reads only.
-- include: clock
local moving = {}
for _, slug in ipairs(call('SMEMBERS', root .. ':moving')) do
  moving[#moving + 1] = slug
  moving[#moving + 1] = call('HGET', root .. ':deployment:' .. slug, 'moving') or ''
end
local rows = {}
local found = call('ZRANGE', root .. ':schedules', 0, most - 1, 'WITHSCORES')
for i = 1, #found, 2 do
  local slug = string.match(found[i], '^[^/]*')
  rows[#rows + 1] = found[i]
  rows[#rows + 1] = found[i + 1]
  rows[#rows + 1] = call('HGET', root .. ':deployment:' .. slug, 'edition') or ''
end
return {now, tonumber(call('HGET', root, 'ahead') or '') or 0, moving, rows}
