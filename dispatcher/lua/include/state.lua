-- state: what one call remembers, so that nothing is asked of Redis twice. All of it is gone when the call ends.
local pool, queues, limits, policies, counts = nil, {}, {}, {}, {}
local parsed, workers = {}, {}
local changes = {depth = {}, later = {}}
local tallies, arrivals, claims = {}, {}, {}
local released, returned, touched_queues, touched_keys = {}, {}, {}, {}
local given, pushes, pushed = {}, {}, {}
local PRIORITY_STEP = 2 ^ 39
