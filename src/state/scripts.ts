/*
 * What Redis does in one step. All times are those of Redis's own clock, in milliseconds, and every answer begins with that clock, so that
 * a replica knows what Redis's clock says without asking for it.
 *
 * A script that counts carries the id of who counts and leaves a record of it, so that the same one sent twice counts once. One that
 * its sender has given up on says so by its deadline: a Redis that was frozen finds a queue of such commands when it wakes up, and must
 * not run what others have long answered for it.
 *
 *   a rate     a hash: i (index of the window), c (used in it), p (used in the one before)
 *   a lease    a sorted set: the key of its taker's record → when it is forgotten
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

/**
 * Many operations, one after the other, each as if it had come alone. KEYS: all that they name. ARGV: as JSON, a list of the deadline, how
 * long records stay, and of each operation one list, in which keys are named by their places in KEYS:
 *
 *   'take', record; kind, key, amount, limit, span of each want
 *   'settle', record, age; kind, key, amount, span of each want. `age` is false, but for what was used without having been taken
 *   here: how long ago it was taken
 *
 * The answer is JSON, too: a list of the clock and, of each operation, a list of what remains, what did not fit, 'late', 'settled', or the
 * error that it met and no other did. An error that would meet them all is that of the script: then none of them has changed anything.
 *
 * Operations that come together are mostly those of few clients, so what is known of a key is kept from one to the next, and rates and
 * the time to live of leases are written once, at the end.
 */
export const COUNT = script(`${NOW}
local input = cjson.decode(ARGV[1])
local deadline, stays = input[1], input[2]
local rates, leases, sums = {}, {}, {}

local function writeRate(key, rate)
  redis.call('HSET', key, 'i', rate.index, 'c', text(rate.current), 'p', text(rate.previous))
  redis.call('PEXPIRE', key, math.max(1, (rate.index + 2) * rate.span - now))
end

-- What was used in the current window and in the one before it.
local function rateOf(key, span)
  local rate = rates[key]
  if rate and rate.span == span then return rate end
  if rate and rate.changed then writeRate(key, rate) end
  rate = {span = span, index = math.floor(now / span), current = 0, previous = 0, changed = false}
  local at = redis.call('HMGET', key, 'i', 'c', 'p')
  local index = tonumber(at[1])
  if index == rate.index - 1 then rate.previous = tonumber(at[2])
  elseif index and index >= rate.index then rate.current, rate.previous = tonumber(at[2]), tonumber(at[3]) end
  rates[key] = rate
  return rate
end

-- What was counted in an older window is corrected there, as long as it still counts.
local function correctRate(key, span, counted, difference)
  local rate = rateOf(key, span)
  if counted == rate.index then rate.current = math.max(0, rate.current + difference)
  elseif counted == rate.index - 1 then rate.previous = math.max(0, rate.previous + difference)
  else return end
  rate.changed = true
end

local function leaseOf(key)
  local lease = leases[key]
  if not lease then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    lease = {holders = redis.call('ZCARD', key), span = 0}
    leases[key] = lease
  end
  return lease
end

local function sumOf(key)
  local sum = sums[key]
  if not sum then
    sum = {value = tonumber(redis.call('GET', key) or 0), expires = redis.call('PEXPIRETIME', key)}
    sums[key] = sum
  end
  return sum
end

local function addTo(key, amount, span)
  local sum = sumOf(key)
  sum.value = tonumber(redis.call('INCRBYFLOAT', key, amount))
  if sum.expires < 0 then
    redis.call('PEXPIRE', key, span)
    sum.expires = redis.call('PEXPIRETIME', key)
  end
  return sum
end

-- What is left of a rate's limit, and when there would be enough.
local function leftOf(key, amount, limit, span)
  local rate = rateOf(key, span)
  local current, previous = rate.current, rate.previous
  local passed = now - rate.index * span
  local left = limit - (current + previous * (1 - passed / span))
  if left >= amount then return left, 0 end
  -- The previous window fades linearly, then the current one becomes the previous.
  local free = limit - amount
  if free < 0 then return left, span end
  if current > free then return left, span - passed + math.max(0, span * (1 - free / current)) end
  if previous > 0 then return left, math.max(0, span * (1 - (free - current) / previous) - passed) end
  return left, 0
end

local function take(operation)
  local recordKey = KEYS[operation[2]]
  if now > deadline then return '"late"' end
  local record = redis.call('GET', recordKey)
  if record == 'settled' then return '"late"' end
  if record then return cmsgpack.unpack(record)[1] end

  local remaining = {}
  for base = 3, #operation, 5 do
    local kind, key, amount = operation[base], KEYS[operation[base + 1]], tonumber(operation[base + 2])
    local limit, span = operation[base + 3], operation[base + 4]
    local left, retry
    if kind == 'lease' then
      left = limit - leaseOf(key).holders
      if left < amount then
        local soonest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
        retry = soonest[2] and tonumber(soonest[2]) - now or span
      end
    elseif kind == 'sum' then
      local sum = sumOf(key)
      left = limit - sum.value
      retry = sum.expires < 0 and span or sum.expires - now
    else left, retry = leftOf(key, amount, limit, span) end
    if left < amount then return '{"want":' .. #remaining .. ',"retryAfterMs":' .. text(math.ceil(retry)) .. '}' end
    remaining[#remaining + 1] = text(left - amount)
  end

  local answer = '[' .. table.concat(remaining, ',') .. ']'
  record = {answer}
  for base = 3, #operation, 5 do
    local kind, key, amount, span = operation[base], KEYS[operation[base + 1]], operation[base + 2], operation[base + 4]
    local place = 0
    if kind == 'lease' then
      local lease = leaseOf(key)
      lease.holders = lease.holders + redis.call('ZADD', key, now + span, recordKey)
      lease.span = math.max(lease.span, span)
    elseif kind == 'sum' then place = addTo(key, amount, span).expires
    else
      local rate = rateOf(key, span)
      rate.current, rate.changed = rate.current + amount, true
      place = rate.index
    end
    local at = #record
    record[at + 1], record[at + 2], record[at + 3], record[at + 4], record[at + 5] = kind, key, tonumber(amount), span, place
  end
  redis.call('SET', recordKey, cmsgpack.pack(record), 'PX', stays)
  return answer
end

-- How much of a want was used, by what its taker settles with.
local function finalOf(operation, kind, key)
  for base = 4, #operation, 4 do
    if operation[base] == kind and KEYS[operation[base + 1]] == key then return tonumber(operation[base + 2]) end
  end
  return 0
end

local function settle(operation)
  local recordKey, age = KEYS[operation[2]], operation[3]
  local record = redis.call('GET', recordKey)
  if record == 'settled' or (not record and not age) then return '"settled"' end
  if record then
    local counted = cmsgpack.unpack(record)
    for at = 2, #counted, 5 do
      local kind, key, span, place = counted[at], counted[at + 1], counted[at + 3], counted[at + 4]
      local difference = finalOf(operation, kind, key) - counted[at + 2]
      if kind == 'lease' then
        local removed = redis.call('ZREM', key, recordKey)
        if leases[key] then leases[key].holders = leases[key].holders - removed end
      elseif difference ~= 0 and kind == 'sum' then
        if sumOf(key).expires == place then addTo(key, text(difference), span) end
      elseif difference ~= 0 then correctRate(key, span, place, difference) end
    end
  else
    for base = 4, #operation, 4 do
      local kind, key, amount, span = operation[base], KEYS[operation[base + 1]], operation[base + 2], operation[base + 3]
      if kind == 'sum' and span > 0 then addTo(key, amount, span)
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
    local word = string.match(said, '^%S*')
    if word == 'READONLY' or word == 'OOM' or word == 'MISCONF' or word == 'NOREPLICAS' then return redis.error_reply(said) end
    answer = cjson.encode({error = said})
  end
  answers[#answers + 1] = answer
end
for key, rate in pairs(rates) do
  if rate.changed then writeRate(key, rate) end
end
for key, lease in pairs(leases) do
  if lease.span > 0 then redis.call('PEXPIRE', key, math.max(redis.call('PTTL', key), lease.span)) end
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
