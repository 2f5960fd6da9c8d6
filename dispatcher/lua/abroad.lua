-- abroad: children that a run has in other pools are noted here, where a tree that is cancelled finds them.
--
-- KEYS     root      the pool
-- ARGV     parent    str   the run
--          token     str   of its claim
-- REST     children: id@pool
-- RETURNS  {'ok'} or {'fenced'}: it does not hold that claim, or is asked to end; nothing was noted
--
-- Called before they are published, and once more after: who is fenced by then cancels them, for whoever cancelled the
-- tree may have come before they were there. Repeatable: what is noted stays as it is.
-- include: rank kin
if is_fenced(parent, token) then return {'fenced'} end
for _, child in ipairs(rest) do adopt_child(parent, child) end
return {'ok'}
