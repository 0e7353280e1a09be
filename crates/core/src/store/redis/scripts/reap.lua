-- KEYS xp dead, then m ix once of each member; ARGV members (room, id, and 'o' or 'c' where something is seen once).
local now, scores = time(), redis.call('ZMSCORE', KEYS[1], unpack(ARGV))
local keys, members, dead, orders, count = {}, {}, {}, {}, 0
for i, member in ipairs(ARGV) do
  if scores[i] and tonumber(scores[i]) <= now then
    local id, k = string.sub(member, 17, 32), 3 * i
    count = count + 1
    keys[#keys + 1] = KEYS[k]
    if #member == 33 then keys[#keys + 1] = KEYS[k + 2] end
    members[count] = member
    dead[#dead + 1] = scores[i]
    dead[#dead + 1] = id
    local order = orders[KEYS[k + 1]] or {}
    orders[KEYS[k + 1]] = order
    order[#order + 1] = id
  end
end
if count == 0 then return {0, now} end
remember(KEYS[2], now, unpack(dead))
redis.call('UNLINK', unpack(keys))
-- A key that somebody made something else of must not hold up the rest.
for key, ids in pairs(orders) do lenient('ZREM', key, unpack(ids)) end
-- Last: what is in it is found again if this script fails before.
redis.call('ZREM', KEYS[1], unpack(members))
return {count, now}
