-- bucket: the name `queue|label,label|key|key` says all of it; parsed once a call.
local parsed = {}

local function parse_bucket(name)
  local bucket = parsed[name]
  if bucket then return bucket end
  local queue, labels, rest = string.match(name, '^([^|]*)|([^|]*)(.*)$')
  local keys = {}
  for key in string.gmatch(rest, '|([^|]+)') do keys[#keys + 1] = key end
  bucket = {
    name = name, queue = queue, labels = labels, class = queue .. '|' .. labels, keys = keys,
    stream = root .. ':backlog:' .. name, front = root .. ':front:' .. name,
  }
  parsed[name] = bucket
  return bucket
end
