-- Keeps an entry unless it is outdated already.
-- KEYS: stamps, answer. ARGV: nonce, entry, its life in ms, hash life in ms.
-- Returns {nonce, 1 kept | 0 refused}.
local nonce, entry = ARGV[1], ARGV[2]
local of, seen, fields = dissect(entry)
if not of or redis.pcall('HGET', KEYS[1], 'i') ~= of or written_since(KEYS[1], fields, seen) then
  return {nonce, 0}
end
redis.call('SET', KEYS[2], entry, 'PX', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {nonce, 1}
