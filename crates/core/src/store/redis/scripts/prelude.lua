-- Stands at the head of every script. Times are integer milliseconds on the server's clock.
local REMEMBERED = 660000 -- ids that ended, 11 min: a minute longer than a save is tried again
local CLAIM_REPEATS = 30000
local LOG_KEPT = 60000
local LARGEST = 65536 + 42 -- a payload and its header

local function time()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- A call on a key that somebody may have made something else of: nothing then.
local function lenient(...)
  local answer = redis.pcall(...)
  if type(answer) ~= 'table' or not answer.err then return answer end
  if string.find(answer.err, 'WRONGTYPE', 1, true) then return nil end
  error(answer)
end

-- One entry: a kind and an id, never content. Its own id is the order of everything: ms * 1024 + n.
local function log(key, now, what)
  local entry = redis.call('XADD', key, 'MINID', string.format('%.0f', now - LOG_KEPT), '*', 'e', what)
  local dash = string.find(entry, '-', 1, true)
  local ms, n = tonumber(string.sub(entry, 1, dash - 1)), tonumber(string.sub(entry, dash + 1))
  -- An id that somebody wrote far ahead: no order can be made of it, and nothing may be taken.
  if ms * 1024 + n >= 2 ^ 53 then error({err = 'CORRUPT the log is garbled'}) end
  -- A filler keeps n under 1024, also where the clock stands or was set back.
  if n >= 1023 then redis.call('XADD', key, string.format('%.0f-0', ms + 1), 'e', 'p') end
  return ms * 1024 + n
end

-- Remembers an id that ended; never sooner than its last entry may the set itself go.
local function remember(key, now, ...)
  redis.call('ZADD', key, 'NX', ...)
  redis.call('PEXPIREAT', key, now + REMEMBERED)
end

-- Lets a room's order live until its last deadline.
local function outlive(key, deadline)
  if redis.call('PEXPIREAT', key, deadline, 'GT') == 0 then redis.call('PEXPIREAT', key, deadline, 'NX') end
end
