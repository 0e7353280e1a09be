-- KEYS m ix xp dead log once; ARGV id room
local id, now = ARGV[1], time()
-- The header's room, where there is one: the caller declared keys by what it read before.
local found = redis.call('GETRANGE', KEYS[1], 25, 40)
if #found == 16 and found ~= ARGV[2] then return {'again'} end
local known = redis.call('ZSCORE', KEYS[4], id)
remember(KEYS[4], now, now, id)
local alive = redis.call('UNLINK', KEYS[1])
redis.call('UNLINK', KEYS[6])
redis.call('ZREM', KEYS[2], id)
local member = ARGV[2] .. id
redis.call('ZREM', KEYS[3], member, member .. 'o')
if known then return {'dead'} end
-- Also of an id that is unknown: a window may show it as waiting.
log(KEYS[5], now, 'd' .. id)
return {alive == 1 and 'deleted' or 'unknown'}
