#!lua name=taba1

-- The store's writes, each of which is one function on the keys of one shard: all of it or nothing. A function checks
-- everything before it writes anything, and is right when it is called again because its answer was lost.
--
-- A command that the user may not call, or that the engine does not have, breaks a function off in the middle. So what
-- counts is written last, by a command that has been called before or by the same for all of it, and what takes things
-- away is called before on what is not there.
--
--   taba1_append    KEYS receipts types tabs chunks body*    ARGV now receipts accounted tabs (id info body)*
--                   receipts = [source, first, last, …]      ascending by last
--                   accounted = [source, row, …]             what all shards have seen that it concerns, by accounts
--                   tabs     = [[member, name, type], …]
--                   "ok" | "refused" receipts types          [[source, first, last], …] seen before, [[name, its type], …]
--                        | "taken" id                        another chunk has the id
--   taba1_replace   KEYS chunks (old body)* (new body)*      ARGV count (old id)* (id info body)*
--                   "ok" | "gone" | "taken" id
--   taba1_count     KEYS accounts requests heard             ARGV now receipts (source before row)*
--                   "ok" | "refused" receipts | "changed" source*      accounts that are not as in `before`
--   taba1_forget    KEYS receipts                            ARGV before source*       how many were dropped
--   taba1_drop      KEYS accounts heard                      ARGV (source before)*     how many were dropped
--   taba1_lacking   KEYS receipts                            ARGV command*             those, and of the functions' own, that
--                                                            the user may not call on the key
--   taba1_both      KEYS hash hash                           [field, value, …] of each, as they are at one moment
--
-- Lists travel as MessagePack. A row of receipts is
--
--   row = last " " heard " " [ gap *( "," gap ) ]     gap = first "-" last     not seen, ascending
--
-- and a row of an account begins with TOKEN bytes, by which it is told whether the account has changed; "" is none.
-- What refuses writes a row as it was: so a caller that waits until its writes are on replicas waits for the write
-- that it repeats too.

local MAX_GAPS = 1024
local TOKEN = 8
local AT_ONCE = 1000 -- arguments that a call takes without trouble; even, as fields come with their values

local function number(value)
  return string.format("%.0f", value)
end

local function read(row)
  local seen = { last = 0, gaps = {} }
  if row then
    local last, gaps = string.match(row, "^(%d+) %d+ (.*)$")
    seen.last = tonumber(last)
    if gaps ~= "" then
      for first, stop in string.gmatch(gaps, "(%d+)-(%d+)") do
        table.insert(seen.gaps, { tonumber(first), tonumber(stop) })
      end
    end
  end
  return seen
end

local function written(seen, heard)
  local gaps = {}
  for place, gap in ipairs(seen.gaps) do
    gaps[place] = number(gap[1]) .. "-" .. number(gap[2])
  end
  return number(seen.last) .. " " .. heard .. " " .. table.concat(gaps, ",")
end

-- What has not been seen, ascending, up to the last number that there can be.
local function missing(seen)
  local gaps = { unpack(seen.gaps) }
  table.insert(gaps, { seen.last + 1, math.huge })
  return gaps
end

-- What either has seen.
local function union(one, other)
  if #other.gaps == 0 and other.last >= one.last then
    return other
  elseif #one.gaps == 0 and one.last >= other.last then
    return one
  end
  local gaps = {}
  local left, right = missing(one), missing(other)
  local at, beside = 1, 1
  while at <= #left and beside <= #right do
    local first = math.max(left[at][1], right[beside][1])
    local last = math.min(left[at][2], right[beside][2])
    if first <= last then
      table.insert(gaps, { first, last })
    end
    if left[at][2] < right[beside][2] then
      at = at + 1
    else
      beside = beside + 1
    end
  end
  local rest = table.remove(gaps)
  while #gaps > MAX_GAPS do
    table.remove(gaps, 1)
  end
  return { last = rest[1] - 1, gaps = gaps }
end

-- Adds the numbers from first to last, of which none may have been seen; whether that was so.
local function add(seen, first, last)
  if first > seen.last then
    if first > seen.last + 1 then
      table.insert(seen.gaps, { seen.last + 1, first - 1 })
      if #seen.gaps > MAX_GAPS then
        table.remove(seen.gaps, 1)
      end
    end
    seen.last = last
    return true
  end
  for place, gap in ipairs(seen.gaps) do
    if gap[1] <= first and last <= gap[2] then
      table.remove(seen.gaps, place)
      if last < gap[2] then
        table.insert(seen.gaps, place, { last + 1, gap[2] })
      end
      if gap[1] < first then
        table.insert(seen.gaps, place, { gap[1], first - 1 })
      end
      if #seen.gaps > MAX_GAPS then
        table.remove(seen.gaps, 1)
      end
      return true
    end
  end
  return false
end

-- The values of fields, false where there is none.
local function values_of(key, fields)
  local values = {}
  for from = 1, #fields, AT_ONCE do
    local to = math.min(from + AT_ONCE - 1, #fields)
    for place, value in ipairs(redis.call("HMGET", key, unpack(fields, from, to))) do
      values[from + place - 1] = value
    end
  end
  return values
end

-- Calls a command that takes a key and any number of pairs: `rest` holds them, one after another.
local function with_all(command, key, rest)
  for from = 1, #rest, AT_ONCE do
    redis.call(command, key, unpack(rest, from, math.min(from + AT_ONCE - 1, #rest)))
  end
end

-- What was seen of the sources of receipts with these added, by source; and the receipts that were seen before.
local function with(key, receipts, accounted)
  local sources, known, rows, refused = {}, {}, {}, {}
  for place = 1, #receipts, 3 do
    local source = receipts[place]
    if known[source] == nil then
      known[source] = false
      sources[#sources + 1] = source
    end
  end
  for place, row in ipairs(values_of(key, sources)) do
    known[sources[place]] = read(row)
    rows[sources[place]] = row
  end
  for place = 1, #accounted, 2 do
    known[accounted[place]] = union(known[accounted[place]], read(accounted[place + 1]))
  end
  local after = {}
  for place = 1, #receipts, 3 do
    local source, first, last = receipts[place], receipts[place + 1], receipts[place + 2]
    if add(known[source], first, last) then
      after[source] = known[source]
    else
      table.insert(refused, { source, first, last })
      if rows[source] then
        redis.call("HSET", key, source, rows[source])
      end
    end
  end
  return after, refused
end

local function set(key, seen, heard)
  local rows = {}
  for source, one in pairs(seen) do
    rows[#rows + 1], rows[#rows + 2] = source, written(one, heard)
  end
  with_all("HSET", key, rows)
end

local function types_taken(key, tabs)
  local names, taken = {}, {}
  for place, tab in ipairs(tabs) do
    names[place] = tab[2]
  end
  for place, has in ipairs(values_of(key, names)) do
    if has and has ~= tabs[place][3] then
      table.insert(taken, { names[place], has })
    end
  end
  return taken
end

local function add_tabs(types, tabs, new)
  if #new == 0 then
    return
  end
  -- Later than all before, also where a clock was set back or another machine's is used.
  local clock = redis.call("TIME")
  local top = redis.call("ZREVRANGE", tabs, 0, 0, "WITHSCORES")
  local version = clock[1] * 1000000 + clock[2]
  if top[2] then
    version = math.max(version, tonumber(top[2]) + 1)
  end
  for _, tab in ipairs(new) do
    redis.call("ZADD", tabs, "NX", number(version), tab[1])
    redis.call("HSET", types, tab[2], tab[3])
  end
end

-- Chunks that are to be written: (id info body)* from an argument on. "ok" or "taken", and whether they are there.
local function new_chunks(key, args, from)
  for place = from, #args, 3 do
    local has = redis.call("HGET", key, args[place])
    if has and has ~= args[place + 1] then
      return { "taken", args[place] }
    elseif has then
      redis.call("HSET", key, args[place], has)
      return { "ok" }
    end
  end
  return nil
end

local function write_bodies(bodies, first_body, args, from)
  for place = from, #args, 3 do
    redis.call("SET", bodies[first_body + (place - from) / 3], args[place + 2])
  end
end

local function write_infos(key, args, from)
  for place = from, #args, 3 do
    redis.call("HSET", key, args[place], args[place + 1])
  end
end

local function append(keys, args)
  local known = new_chunks(keys[4], args, 5)
  if known then
    return known
  end
  local tabs = cmsgpack.unpack(args[4])
  local seen, refused = with(keys[1], cmsgpack.unpack(args[2]), cmsgpack.unpack(args[3]))
  local taken = types_taken(keys[2], tabs)
  if #refused > 0 or #taken > 0 then
    return { "refused", cmsgpack.pack(refused), cmsgpack.pack(taken) }
  end
  add_tabs(keys[2], keys[3], tabs)
  write_bodies(keys, 5, args, 5)
  set(keys[1], seen, args[1])
  write_infos(keys[4], args, 5)
  return { "ok" }
end

local function replace(keys, args)
  local count = tonumber(args[1])
  local known = new_chunks(keys[1], args, count + 2)
  if known then
    return known
  end
  for place = 2, count + 1 do
    if redis.call("HEXISTS", keys[1], args[place]) == 0 then
      return { "gone" }
    end
  end
  redis.call("HDEL", keys[1], "")
  for place = count + 2, #keys do
    redis.call("UNLINK", keys[place])
  end
  write_bodies(keys, count + 2, args, count + 2)
  write_infos(keys[1], args, count + 2)
  for place = 2, count + 1 do
    redis.call("HDEL", keys[1], args[place])
    redis.call("UNLINK", keys[place])
  end
  return { "ok" }
end

local function token(row)
  return row and string.sub(row, 1, TOKEN) or ""
end

local function count(keys, args)
  local seen, refused = with(keys[2], cmsgpack.unpack(args[2]), {})
  if #refused > 0 then
    return { "refused", cmsgpack.pack(refused) }
  end
  local sources, changed = {}, { "changed" }
  for place = 3, #args, 3 do
    table.insert(sources, args[place])
  end
  for place, row in ipairs(values_of(keys[1], sources)) do
    if token(row) ~= args[place * 3 + 1] then
      table.insert(changed, sources[place])
    end
  end
  if #changed > 1 then
    return changed
  end
  local rows, heard = {}, {}
  for place = 3, #args, 3 do
    rows[#rows + 1], rows[#rows + 2] = args[place], args[place + 2]
    heard[#heard + 1], heard[#heard + 2] = args[1], args[place]
  end
  with_all("ZADD", keys[3], heard)
  set(keys[2], seen, args[1])
  with_all("HSET", keys[1], rows)
  return { "ok" }
end

local function forget(keys, args)
  local dropped, before = 0, tonumber(args[1])
  for place = 2, #args do
    local row = redis.call("HGET", keys[1], args[place])
    if row and tonumber(string.match(row, "^%d+ (%d+)")) < before then
      dropped = dropped + redis.call("HDEL", keys[1], args[place])
    end
  end
  return dropped
end

local function drop(keys, args)
  local dropped = 0
  for place = 1, #args, 2 do
    if token(redis.call("HGET", keys[1], args[place])) == args[place + 1] then
      redis.call("ZREM", keys[2], args[place])
      dropped = dropped + redis.call("HDEL", keys[1], args[place])
    end
  end
  return dropped
end

local OWN = { "HDEL", "HEXISTS", "HGET", "HMGET", "HSET", "SET", "TIME", "UNLINK", "ZADD", "ZREM", "ZREVRANGE" }

local function lacking(keys, args)
  local found = {}
  for _, commands in ipairs({ OWN, args }) do
    for _, command in ipairs(commands) do
      -- Some take one key, some more, some a field: this does for all of them.
      local told, may = pcall(redis.acl_check_cmd, command, keys[1], keys[1], keys[1])
      if not (told and may) then
        table.insert(found, command)
      end
    end
  end
  return found
end

local function both(keys)
  return { redis.call("HGETALL", keys[1]), redis.call("HGETALL", keys[2]) }
end

-- What makes room is done also where there is none.
local function register(name, callback, ...)
  redis.register_function({ function_name = name, callback = callback, flags = { ... } })
end

register("taba1_append", append)
register("taba1_replace", replace, "allow-oom")
register("taba1_count", count)
register("taba1_forget", forget, "allow-oom")
register("taba1_drop", drop, "allow-oom")
register("taba1_lacking", lacking, "no-writes")
register("taba1_both", both, "no-writes")
