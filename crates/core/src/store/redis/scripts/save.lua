-- KEYS m ix xp dead log rooms [once]; ARGV id room lifetime not_after rest-of-header+payload hour [once payload]
local id, room, now = ARGV[1], ARGV[2], time()
if redis.call('ZSCORE', KEYS[4], id) then return {'ended'} end
local member = room .. id
if KEYS[7] then member = member .. 'o' end
-- Known, in whatever room: its first stamp.
local head = redis.call('GETRANGE', KEYS[1], 0, 23)
if #head == 24 then
  local seq, accepted, deadline = struct.unpack('>I8I8I8', head)
  if deadline <= now then return {'ended'} end
  return {'saved', seq, accepted, deadline, now}
end
-- Ended, and not reaped yet.
if redis.call('ZSCORE', KEYS[3], member) then return {'ended'} end
if now > tonumber(ARGV[4]) then return {'ended'} end
local found = redis.call('HGET', KEYS[6], room)
if not found or #found < 26 then return {'no_room'} end
local version, lifetime, longest, active = struct.unpack('>BI8I8I8', found)
if tonumber(ARGV[3]) > longest then return {'too_long', longest} end
local deadline = now + ARGV[3]
local seq = log(KEYS[5], now, 's' .. id)
redis.call('SET', KEYS[1], struct.pack('>I8I8I8', seq, now, deadline) .. ARGV[5], 'PXAT', deadline - 1)
if KEYS[7] then redis.call('SET', KEYS[7], ARGV[7], 'PXAT', deadline - 1) end
redis.call('ZADD', KEYS[2], seq, id)
outlive(KEYS[2], deadline)
-- To the hour is enough for a room that is kept for 30 days, and spares a write a message.
if now - active > tonumber(ARGV[6]) then
  redis.call('HSET', KEYS[6], room, struct.pack('>BI8I8I8', version, lifetime, longest, now) .. string.sub(found, 26))
end
-- Last: a save is known by it, and a script that fails half-way keeps what it wrote before.
redis.call('ZADD', KEYS[3], deadline, member)
return {'saved', seq, now, deadline, now}
