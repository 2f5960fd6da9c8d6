-- clock: `now`, the server's time in ms, read once a call.
-- An argument counts only on a server that holds the pool's test clock key: no client decides what time it is.
-- `now_text` is the same for commands: a number as an argument is printed anew each time, at 0.5 us.
local now
if now_ms > 0 and call('EXISTS', root .. ':test-clock') == 1 then
  now = now_ms
else
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local now_text = string.format('%.0f', now)
