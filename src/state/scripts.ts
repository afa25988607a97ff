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

/** KEYS: the record, one key per want. ARGV: taker, deadline, how long the record stays; kind, amount, limit, span of each want. */
export const TAKE = script(`${NOW}${WINDOWS}
local taker, deadline, stays = ARGV[1], tonumber(ARGV[2]), ARGV[3]
if now > deadline then return {now, 'late'} end
local record = redis.call('GET', KEYS[1])
if record == 'settled' then return {now, 'late'} end
if record then
  local remaining = cmsgpack.unpack(record).remaining
  table.insert(remaining, 1, 'taken')
  table.insert(remaining, 1, now)
  return remaining
end

local wants = {}
local answer = {now, 'taken'}
for at = 2, #KEYS do
  local base = 4 * (at - 2) + 3
  local kind, amount, limit, span = ARGV[base + 1], tonumber(ARGV[base + 2]), tonumber(ARGV[base + 3]), tonumber(ARGV[base + 4])
  local want = {kind = kind, key = KEYS[at], amount = amount, span = span, raw = ARGV[base + 2]}
  local left, retry
  if kind == 'lease' then
    redis.call('ZREMRANGEBYSCORE', want.key, '-inf', now)
    left = limit - redis.call('ZCARD', want.key)
    local soonest = redis.call('ZRANGE', want.key, 0, 0, 'WITHSCORES')
    retry = soonest[2] and tonumber(soonest[2]) - now or span
  elseif kind == 'sum' then
    left = limit - tonumber(redis.call('GET', want.key) or 0)
    retry = redis.call('PTTL', want.key)
    if retry < 0 then retry = span end
  else
    local index = math.floor(now / span)
    local passed = now - index * span
    local current, previous = windows(want.key, index)
    want.index, want.current, want.previous = index, current, previous
    left = limit - (current + previous * (1 - passed / span))
    -- The previous window fades linearly, then the current one becomes the previous.
    local free = limit - amount
    if free < 0 then retry = span
    elseif current > free then retry = span - passed + math.max(0, span * (1 - free / current))
    elseif previous > 0 then retry = math.max(0, span * (1 - (free - current) / previous) - passed)
    else retry = 0 end
  end
  if left < amount then return {now, 'refused', at - 2, math.ceil(retry)} end
  answer[#answer + 1] = text(left - amount)
  wants[#wants + 1] = want
end

local counted = {}
for _, want in ipairs(wants) do
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
  counted[#counted + 1] = {want.kind, want.key, want.amount, want.span, place}
end
local remaining = {}
for at = 3, #answer do remaining[#remaining + 1] = answer[at] end
redis.call('SET', KEYS[1], cmsgpack.pack({remaining = remaining, counted = counted}), 'PX', stays)
return answer
`)

/**
 * KEYS: the record, one key per want. ARGV: taker; kind, amount, span of each want; and before them, for what was used without having
 * been taken here, how long ago it was taken and how long it is remembered that it was settled (else empty, empty).
 */
export const SETTLE = script(`${NOW}${WINDOWS}
local taker, age, stays = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local record = redis.call('GET', KEYS[1])
if record == 'settled' or (not record and not age) then return {now} end

local finals = {}
for at = 2, #KEYS do
  local base = 3 * (at - 2) + 3
  finals[ARGV[base + 1] .. ' ' .. KEYS[at]] = tonumber(ARGV[base + 2])
end

if record then
  for _, want in ipairs(cmsgpack.unpack(record).counted) do
    local kind, key, amount, span, place = unpack(want)
    local difference = (finals[kind .. ' ' .. key] or 0) - amount
    if kind == 'lease' then redis.call('ZREM', key, taker)
    elseif kind == 'sum' then
      if difference ~= 0 and redis.call('PEXPIRETIME', key) == place then redis.call('INCRBYFLOAT', key, text(difference)) end
    elseif difference ~= 0 then correctRate(key, span, place, difference) end
  end
else
  for at = 2, #KEYS do
    local base = 3 * (at - 2) + 3
    local kind, amount, span = ARGV[base + 1], tonumber(ARGV[base + 2]), tonumber(ARGV[base + 3])
    if kind == 'sum' and span > 0 then
      redis.call('INCRBYFLOAT', KEYS[at], ARGV[base + 2])
      if redis.call('PTTL', KEYS[at]) < 0 then redis.call('PEXPIRE', KEYS[at], span) end
    elseif kind == 'rate' then correctRate(KEYS[at], span, math.floor((now - age) / span), amount) end
  end
end
if age then redis.call('SET', KEYS[1], 'settled', 'PX', stays) else redis.call('DEL', KEYS[1]) end
return {now}
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
