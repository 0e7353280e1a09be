-- KEYS janitor xp dead log; ARGV me lease. Takes or renews the lease; whoever has it tidies what no write would.
-- Answers {mine, now, next deadline or 0}.
local now = time()
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return {0, now, 0} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - REMEMBERED)
-- The stream's key stays, and with it the last id.
if redis.call('EXISTS', KEYS[4]) == 1 then redis.call('XTRIM', KEYS[4], 'MINID', string.format('%.0f', now - LOG_KEPT)) end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
-- Anybody may have written any score: what is first is due at the latest then, and at the earliest now.
return {1, now, first[2] and math.max(1, math.min(tonumber(first[2]), 2 ^ 53 - 1)) or 0}
