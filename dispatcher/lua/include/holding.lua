-- holding: runs take slots: members of a scope are admission time and run id, in turn.
-- include: rooms
local function hold(scope, members)
  call('ZADD', scope, unpack(members))
  if counts[scope] then counts[scope] = counts[scope] + #members / 2 end
end
