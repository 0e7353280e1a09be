-- KEYS m ix xp dead log once seen; ARGV id room nonce. The winner's nonce gets the bytes again for 30 s.
local id, now = ARGV[1], time()
local seen = redis.call('GET', KEYS[7])
if seen then
  local body = seen == ARGV[3] and redis.call('GETRANGE', KEYS[6], 0, LARGEST) or ''
  if body == '' then return {'taken'} end
  return {'ok', body}
end
local head = redis.call('GETRANGE', KEYS[1], 0, 41)
if #head < 42 then return {'gone'} end
local _, _, deadline = struct.unpack('>I8I8I8', head)
if deadline <= now or string.sub(head, 26, 41) ~= ARGV[2] then return {'gone'} end
local body = redis.call('GETRANGE', KEYS[6], 0, LARGEST)
if body == '' then return {'not_once'} end
local last = math.min(deadline, now + CLAIM_REPEATS)
redis.call('SET', KEYS[7], ARGV[3], 'PXAT', now + REMEMBERED)
remember(KEYS[4], now, now, id)
redis.call('UNLINK', KEYS[1])
redis.call('PEXPIREAT', KEYS[6], last - 1)
redis.call('ZREM', KEYS[2], id)
-- Under another name, so that the janitor unlinks the bytes and nobody counts it as alive.
redis.call('ZADD', KEYS[3], last, ARGV[2] .. id .. 'c')
redis.call('ZREM', KEYS[3], ARGV[2] .. id .. 'o')
log(KEYS[5], now, 'c' .. id)
return {'ok', body}
