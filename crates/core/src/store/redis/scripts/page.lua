-- KEYS ix; ARGV before limit prefix-of-m bytes. Answers {now, cursor, id, value, ...}, newest first; cursor '' is the end.
local now, before, want, room, n = time(), ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4]), 50
local out = {now, ''}
for round = 1, 12 do
  local ids = redis.call('ZRANGE', KEYS[1], before, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, n, 'WITHSCORES')
  if #ids == 0 then return out end
  local keys = {}
  for i = 1, #ids, 2 do keys[#keys + 1] = ARGV[3] .. ids[i] end
  local values, alive = redis.call('MGET', unpack(keys)), 0
  for i = 1, #keys do
    local value = values[i]
    if value and #value >= 24 and #value <= LARGEST and struct.unpack('>I8', value, 17) > now then
      alive = alive + 1
      out[#out + 1] = ids[2 * i - 1]
      out[#out + 1] = value
      want, room = want - 1, room - #value
      if want == 0 or room <= 0 then
        out[2] = '(' .. ids[2 * i]
        return out
      end
    end
  end
  before = '(' .. ids[#ids]
  if #keys < n then return out end
  n = alive == 0 and 500 or 50
end
out[2] = before
return out
