-- KEYS rooms xp; ARGV prefix-of-ix [room]. Answers {now, id, value, live, ...}; what is overdue but not yet reaped is not counted.
local now, out, fields = time(), nil, nil
out = {now}
if ARGV[2] then
  fields = {ARGV[2], redis.call('HGET', KEYS[1], ARGV[2])}
  if not fields[2] then return out end
else
  fields = redis.call('HGETALL', KEYS[1])
end
local overdue = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE', 'LIMIT', 0, 5000)) do
  if string.sub(member, 33, 33) ~= 'c' then
    local room = string.sub(member, 1, 16)
    overdue[room] = (overdue[room] or 0) + 1
  end
end
for i = 1, math.min(#fields, 20000), 2 do
  local room, value = fields[i], fields[i + 1]
  if #room == 16 and #value >= 26 and #value <= 1024 then
    out[#out + 1] = room
    out[#out + 1] = value
    out[#out + 1] = math.max(0, (lenient('ZCARD', ARGV[1] .. room) or 0) - (overdue[room] or 0))
  end
end
return out
