-- events: what this call changed, in order, as one entry of the pool's event stream: field `e`, a transition a line,
-- `kind head word word ...`: `admitted worker id id`, `finished state id`, `queue created name`.
local events, last_kind, last_head = {}, nil, nil

local function event(kind, head, word)
  if kind == last_kind and head == last_head then
    local words = events[#events]
    words[#words + 1] = word
  else
    events[#events + 1] = {kind, head, word}
    last_kind, last_head = kind, head
  end
end

local function write_events()
  if #events == 0 then return end
  for i = 1, #events do events[i] = table.concat(events[i], ' ') end
  call('XADD', root .. ':events', 'MAXLEN', '~', 16384, '*', 'e', table.concat(events, '\n'))
end
