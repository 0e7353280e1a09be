-- KEYS m ix xp log once rooms; ARGV id room remaining seen_deadline [rest-of-header+payload]
local now, value = time(), redis.call('GETRANGE', KEYS[1], 0, LARGEST)
if #value < 42 then return {'gone'} end
local seq, accepted, deadline = struct.unpack('>I8I8I8', value)
if deadline <= now or string.sub(value, 26, 41) ~= ARGV[2] then return {'gone'} end
if deadline ~= tonumber(ARGV[4]) then return {'moved'} end
local found = redis.call('HGET', KEYS[6], ARGV[2])
local longest = 2592000000
if found and #found >= 26 then local _, _, l = struct.unpack('>BI8I8', found); longest = l end
local new = now + ARGV[3]
if new > accepted + longest then return {'too_long', longest} end
local member = ARGV[2] .. ARGV[1]
-- The earlier of the two stands whatever happens between these writes: what is shortened is never kept.
if redis.call('ZADD', KEYS[3], 'XX', 'CH', new, member) == 0 then redis.call('ZADD', KEYS[3], 'XX', new, member .. 'o') end
redis.call('SET', KEYS[1], struct.pack('>I8I8I8', seq, accepted, new) .. (ARGV[5] or string.sub(value, 25)), 'PXAT', new - 1)
redis.call('PEXPIREAT', KEYS[5], new - 1)
outlive(KEYS[2], new)
log(KEYS[4], now, 'm' .. ARGV[1])
return {'saved', seq, accepted, new, now}
