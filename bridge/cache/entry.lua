-- Put before lookup.lua and fill.lua. Layout of an entry: entry.py.

-- Numbers are kept as decimal digits; anything else is not ours.
local function whole(text)
  return type(text) == 'string' and #text <= 15 and text:match('^%d+$') and tonumber(text) or nil
end

-- incarnation, sequence, fields; nil when these are not the bytes of an entry.
local function dissect(entry)
  if type(entry) ~= 'string' or #entry < 29 or entry:sub(1, 1) ~= '1' then return nil end
  local sequence, count = struct.unpack('>I8I4', entry, 18)
  if #entry < 29 + 16 * count then return nil end
  return entry:sub(2, 17), sequence, entry:sub(30, 29 + 16 * count)
end

-- Was any of these paths written later than `sequence`? A stamp that is no number says yes.
local function written_since(stamps, fields, sequence)
  for first = 1, #fields, 16 * 500 do -- unpack() has a limit
    local names = {}
    for at = first, math.min(first + 16 * 499, #fields), 16 do
      names[#names + 1] = fields:sub(at, at + 15)
    end
    for _, stamp in ipairs(redis.call('HMGET', stamps, unpack(names))) do
      if stamp and (whole(stamp) or math.huge) > sequence then return true end
    end
  end
  return false
end
