-- KEYS rooms log; ARGV room seen new. Sets a room if it is still as it was seen ('' where there was none).
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if found ~= ARGV[2] then return {0, found} end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
log(KEYS[2], time(), 'r' .. ARGV[1])
return {1, ARGV[3]}
