-- bucket: the name `queue|label,label|key|key` says all of it; parsed once a call.
local function parse_bucket(name)
  local bucket = parsed[name]
  if bucket then return bucket end
  local queue, labels, rest = string.match(name, '^([^|]*)|([^|]*)(.*)$')
  local keys = {}
  for key in string.gmatch(rest, '|([^|]+)') do keys[#keys + 1] = key end
  local scopes = {root .. ':slots', root .. ':slots:queue:' .. queue}
  for _, key in ipairs(keys) do scopes[#scopes + 1] = root .. ':slots:key:' .. key end
  bucket = {
    scopes = scopes, empty = nil, name = name, queue = queue, labels = labels, class = queue .. '|' .. labels,
    keys = keys,
    stream = root .. ':backlog:' .. name, front = root .. ':front:' .. name,
  }
  parsed[name] = bucket
  return bucket
end
