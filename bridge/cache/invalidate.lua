-- Stamps paths with the next sequence. Dropping the hash instead is always right: without it, and
-- under the new incarnation that the next look-up begins, every answer of the group is a miss.
-- KEYS: stamps. ARGV: nonce, fields (16 bytes each), most fields to hold, hash life in ms.
-- Returns {nonce, 1}.
local stamps, nonce, fields = KEYS[1], ARGV[1], ARGV[2]
local held = redis.pcall('HLEN', stamps)
if held == 0 then return {nonce, 1} end -- no incarnation, so nothing that could be served
local sequence
if type(held) == 'number' and held + #fields / 16 <= tonumber(ARGV[3]) then
  sequence = redis.pcall('HINCRBY', stamps, 'n', 1)
end
local done = type(sequence) == 'number' and sequence > 0
for first = 1, done and #fields or 0, 16 * 500 do
  local pairs_ = {}
  for at = first, math.min(first + 16 * 499, #fields), 16 do
    pairs_[#pairs_ + 1] = fields:sub(at, at + 15)
    pairs_[#pairs_ + 1] = sequence
  end
  done = done and type(redis.pcall('HSET', stamps, unpack(pairs_))) == 'number'
end
if done then
  redis.call('PEXPIRE', stamps, ARGV[4])
else
  redis.call('UNLINK', stamps) -- too many, damaged, or no memory left for a stamp
end
return {nonce, 1}
