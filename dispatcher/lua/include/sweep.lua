-- sweep: bulk edits write the setting and a cursor; whoever comes by takes the next chunk.
local function sweep(most)
  if call('EXISTS', root .. ':sweeps') == 0 then return false end
  -- here: sweeping
  return sweep_some(most)
end
