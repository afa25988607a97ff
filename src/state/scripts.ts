/*
 * What Redis does in one step. All times are those of Redis's own clock, in milliseconds, and every answer begins with that clock, so that
 * a replica knows what Redis's clock says without asking for it.
 *
 * A script that counts carries the id of who counts and leaves a record of it, so that the same one sent twice counts once. One that
 * its sender has given up on says so by its deadline: a Redis that was frozen finds a queue of such commands when it wakes up, and must
 * not run what others have long answered for it.
 *
 *   a rate     a hash: i (index of the window), c (used in it), p (used in the one before)
 *   a lease    a sorted set: taker → when it is forgotten
 *   a sum      a plain number, as `add` and `read` know it
 *   a record   of a taker: what it was told and where its amounts were counted (msgpack), or "settled"
 */
import { createHash } from 'node:crypto'

export interface Script {
  readonly lua: string
  readonly sha: string
}

const script = (lua: string): Script => ({ lua, sha: createHash('sha1').update(lua).digest('hex') })

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.17g', number) end
`

const WINDOWS = `
-- What was used in the window with this index and in the one before it.
local function windows(key, index)
  local at = redis.call('HMGET', key, 'i', 'c', 'p')
  local i = tonumber(at[1])
  if not i or i < index - 1 then return 0, 0 end
  if i == index - 1 then return 0, tonumber(at[2]) end
  return tonumber(at[2]), tonumber(at[3])
end

local function setWindows(key, index, span, current, previous)
  redis.call('HSET', key, 'i', index, 'c', text(current), 'p', text(previous))
  redis.call('PEXPIRE', key, math.max(1, (index + 2) * span - now))
end

-- What was counted in an older window is corrected there, as long as it still counts.
local function correctRate(key, span, counted, difference)
  local index = math.floor(now / span)
  local current, previous = windows(key, index)
  if counted == index then setWindows(key, index, span, math.max(0, current + difference), previous)
  elseif counted == index - 1 then setWindows(key, index, span, current, math.max(0, previous + difference)) end
end
`

/**
 * Many operations, one after the other, each as if it had come alone. KEYS: all that they name. ARGV: as JSON, a list of the deadline, how
 * long records stay, and of each operation one list, in which keys are named by their places in KEYS:
 *
 *   'take', taker, record; kind, key, amount, limit, span of each want
 *   'settle', taker, record, age; kind, key, amount, span of each want. `age` is false, but for what was used without having been
 *   taken here: how long ago it was taken
 *
 * The answer is JSON, too: a list of the clock and, of each operation, a list of what remains, what did not fit, 'late', 'settled', or the
 * error that it met and no other did. An error that would meet them all is that of the script: then none of them has changed anything.
 */
export const COUNT = script(`${NOW}${WINDOWS}
local input = cjson.decode(ARGV[1])
local deadline, stays = input[1], input[2]

local function take(operation)
  local taker, recordKey = operation[2], KEYS[operation[3]]
  if now > deadline then return '"late"' end
  local record = redis.call('GET', recordKey)
  if record == 'settled' then return '"late"' end
  if record then return cmsgpack.unpack(record).answer end

  local wants, remaining = {}, {}
  for base = 4, #operation, 5 do
    local kind, key, amount, limit, span = operation[base], KEYS[operation[base + 1]], tonumber(operation[base + 2]), operation[base + 3], operation[base + 4]
    local want = {kind = kind, key = key, amount = amount, span = span, raw = operation[base + 2]}
    local left, retry
    if kind == 'lease' then
      redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
      left = limit - redis.call('ZCARD', key)
      if left < amount then
        local soonest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
        retry = soonest[2] and tonumber(soonest[2]) - now or span
      end
    elseif kind == 'sum' then
      left = limit - tonumber(redis.call('GET', key) or 0)
      if left < amount then
        retry = redis.call('PTTL', key)
        if retry < 0 then retry = span end
      end
    else
      local index = math.floor(now / span)
      local passed = now - index * span
      local current, previous = windows(key, index)
      want.index, want.current, want.previous = index, current, previous
      left = limit - (current + previous * (1 - passed / span))
      -- The previous window fades linearly, then the current one becomes the previous.
      local free = limit - amount
      if free < 0 then retry = span
      elseif current > free then retry = span - passed + math.max(0, span * (1 - free / current))
      elseif previous > 0 then retry = math.max(0, span * (1 - (free - current) / previous) - passed)
      else retry = 0 end
    end
    if left < amount then return '{"want":' .. #wants .. ',"retryAfterMs":' .. text(math.ceil(retry)) .. '}' end
    remaining[#remaining + 1] = text(left - amount)
    wants[#wants + 1] = want
  end

  local counted = {}
  for at, want in ipairs(wants) do
    local place = 0
    if want.kind == 'lease' then
      redis.call('ZADD', want.key, now + want.span, taker)
      redis.call('PEXPIRE', want.key, math.max(redis.call('PTTL', want.key), want.span))
    elseif want.kind == 'sum' then
      redis.call('INCRBYFLOAT', want.key, want.raw)
      if redis.call('PTTL', want.key) < 0 then redis.call('PEXPIRE', want.key, want.span) end
      place = redis.call('PEXPIRETIME', want.key)
    else
      setWindows(want.key, want.index, want.span, want.current + want.amount, want.previous)
      place = want.index
    end
    counted[at] = {want.kind, want.key, want.amount, want.span, place}
  end
  local answer = '[' .. table.concat(remaining, ',') .. ']'
  redis.call('SET', recordKey, cmsgpack.pack({answer = answer, counted = counted}), 'PX', stays)
  return answer
end

local function settle(operation)
  local taker, recordKey, age = operation[2], KEYS[operation[3]], operation[4]
  local record = redis.call('GET', recordKey)
  if record == 'settled' or (not record and not age) then return '"settled"' end
  if record then
    local finals = {}
    for base = 5, #operation, 4 do
      finals[operation[base] .. ' ' .. KEYS[operation[base + 1]]] = tonumber(operation[base + 2])
    end
    for _, want in ipairs(cmsgpack.unpack(record).counted) do
      local kind, key, amount, span, place = unpack(want)
      local difference = (finals[kind .. ' ' .. key] or 0) - amount
      if kind == 'lease' then redis.call('ZREM', key, taker)
      elseif kind == 'sum' then
        if difference ~= 0 and redis.call('PEXPIRETIME', key) == place then redis.call('INCRBYFLOAT', key, text(difference)) end
      elseif difference ~= 0 then correctRate(key, span, place, difference) end
    end
  else
    for base = 5, #operation, 4 do
      local kind, key, amount, span = operation[base], KEYS[operation[base + 1]], operation[base + 2], operation[base + 3]
      if kind == 'sum' and span > 0 then
        redis.call('INCRBYFLOAT', key, amount)
        if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, span) end
      elseif kind == 'rate' then correctRate(key, span, math.floor((now - age) / span), amount) end
    end
  end
  if age then redis.call('SET', recordKey, 'settled', 'PX', stays) else redis.call('DEL', recordKey) end
  return '"settled"'
end

local answers = {text(now)}
for at = 3, #input do
  local operation = input[at]
  local done, answer = pcall(operation[1] == 'take' and take or settle, operation)
  if not done then
    local said = type(answer) == 'table' and answer.err or tostring(answer)
    if string.find(' READONLY OOM MISCONF NOREPLICAS ', ' ' .. string.match(said, '^%S*') .. ' ', 1, true) then return redis.error_reply(said) end
    answer = cjson.encode({error = said})
  end
  answers[#answers + 1] = answer
end
return '[' .. table.concat(answers, ',') .. ']'
`)

/** KEYS: the counter, the record. ARGV: amount, how long the counter lives, deadline, how long the record stays. */
export const ADD = script(`${NOW}
if now > tonumber(ARGV[3]) then return {now, 'late'} end
if redis.call('EXISTS', KEYS[2]) == 1 then return {now, redis.call('GET', KEYS[1]) or '0'} end
local sum = redis.call('INCRBYFLOAT', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[4])
return {now, sum}
`)

/**
 * KEYS: the replicas. ARGV: this one, how long one is remembered. Answers how many there are. It also finds out whether Redis is new
 * enough (7) for the other scripts.
 */
export const PRESENT = script(`${NOW}
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRETIME', KEYS[1])
return {now, redis.call('ZCARD', KEYS[1])}
`)

/**
 * KEYS: the channel. ARGV: the message. As a script with a key, since a cluster would send one announcement over this node and the
 * next over that, and the second could be heard first.
 */
export const ANNOUNCE = script(`${NOW}
redis.call('PUBLISH', KEYS[1], ARGV[1])
return {now}
`)
