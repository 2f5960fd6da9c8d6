-- kin: children of a run, by the order in which they were published; gone when the run is forgotten.

-- Whether a child may not be published in the name of this claim: it is over, lost, or asked to end.
local function is_fenced(parent, token)
  if token == '' then return false end
  local row = call('HMGET', root .. ':run:' .. parent, 'state', 'token')
  return row[2] ~= token or row[1] ~= 'running' and row[1] ~= 'pending'
end

local function adopt_child(parent, id)
  if call('EXISTS', root .. ':r:' .. parent) == 1 then
    call('ZADD', root .. ':children:' .. parent, 'NX', next_rank(), id)
  end
end
