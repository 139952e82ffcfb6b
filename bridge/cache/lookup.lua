-- The entry if nothing it depends on has changed, and the ticket for a query that starts now.
-- KEYS: stamps, answer. ARGV: nonce (becomes the incarnation if there is none), hash life in ms.
-- Returns {nonce, 0 miss | 1 hit | 2 outdated, incarnation, sequence, entry if hit}.
local nonce, life = ARGV[1], ARGV[2]
local head = redis.pcall('HMGET', KEYS[1], 'i', 'n')
local incarnation, sequence = head[1], whole(head[2])
if not incarnation or #incarnation ~= 16 or not sequence then
  redis.call('UNLINK', KEYS[1]) -- absent, damaged or of another type: begin a new incarnation
  redis.call('HSET', KEYS[1], 'i', nonce, 'n', 0)
  redis.call('PEXPIRE', KEYS[1], life)
  return {nonce, 0, nonce, '0', false}
end
local entry = redis.pcall('GET', KEYS[2]) -- another type gives an error table, which is no entry
local of, seen, fields = dissect(entry)
-- An entry from later than "now" comes from a past that the server has lost.
if of == incarnation and seen <= sequence then
  if seen == sequence or not written_since(KEYS[1], fields, seen) then
    return {nonce, 1, incarnation, head[2], entry}
  end
  redis.call('PEXPIRE', KEYS[1], life)
  return {nonce, 2, incarnation, head[2], false}
end
redis.call('PEXPIRE', KEYS[1], life)
return {nonce, 0, incarnation, head[2], false}
