-- telling: a line in the reply stream of each client that waits for this run.
local function tell_listeners(record, state, packed)
  local listeners = root .. ':listeners:' .. record.id
  local body = #packed <= 16384 and packed or ''
  for _, client in ipairs(call('SMEMBERS', listeners)) do
    local reply = root .. ':reply:' .. client
    call('XADD', reply, 'MAXLEN', '~', 10000, '*', 'run', record.id, 'state', state, 'facts', body)
    call('PEXPIRE', reply, 600000)
  end
  call('DEL', listeners)
end
