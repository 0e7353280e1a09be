-- KEYS m ...; ARGV bytes. Answers {value or '', ...} from the first key on until the bytes are spent, at least one.
local out, room = {}, tonumber(ARGV[1])
for i = 1, #KEYS do
  local value = lenient('GETRANGE', KEYS[i], 0, LARGEST) or ''
  out[i] = value
  room = room - #value
  if room <= 0 then return out end
end
return out
