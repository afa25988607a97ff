/* Several replicas on one Redis: what they share, and what one of them leaves behind when it dies. And the scripts against the book. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { systemClock } from '../../src/core/clock.ts'
import type { Want } from '../../src/core/store.ts'
import { type CircuitPolicy, circuits } from '../../src/resilience/circuit.ts'
import { COUNT } from '../../src/state/scripts.ts'
import { noRedis, type RedisServer, startRedis } from '../support/redis-server.ts'
import { until } from '../support/running.ts'
import { type OpenedStore, opened } from './opened.ts'
import { seededRandom } from './seeded-random.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

describe('replicas together', { skip: noRedis }, () => {
  let server: RedisServer
  let open: OpenedStore[] = []
  before(async () => {
    server = await startRedis()
  })
  after(() => server.stop())
  afterEach(async () => {
    await Promise.all(open.map(({ store }) => store.close()))
    open = []
  })
  async function two() {
    // Patient, as what is asked here is how exact Redis is, and this machine may be busy.
    const both = await Promise.all([1, 2].map(() => opened(server.url, { commandTimeoutMs: 2_000 })))
    open.push(...both)
    return both.map(({ store }) => store) as [OpenedStore['store'], OpenedStore['store']]
  }

  it('a thousand takers at once at the edge of each limit: not one too many, and none refused that fits', async () => {
    const stores = await two()
    const name = randomUUID()
    const wants: Record<string, Want> = {
      rate: { kind: 'rate', key: `{${name}}:rate`, amount: 3, limit: 1_000, windowMs: DAY_MS },
      lease: { kind: 'lease', key: `{${name}}:lease`, limit: 333, ttlMs: HOUR_MS },
      sum: { kind: 'sum', key: `{${name}}:sum`, amount: 0.3, limit: 100, ttlMs: HOUR_MS },
    }
    for (const want of Object.values(wants)) {
      const taken = await Promise.all(Array.from({ length: 1_000 }, (_, at) => stores[at % 2]!.take(randomUUID(), [want])))
      assert.equal(taken.filter(({ ok }) => ok).length, 333, want.kind)
    }
  })

  it('an announcement of one is heard by the other, also after Redis was started again', async () => {
    const [one, other] = await two()
    const heard: string[] = []
    other.hear('news', message => heard.push(message))
    one.announce('news', 'first')
    await until('it is heard', () => heard.length === 1)
    await server.kill()
    await server.start()
    await until('both are back', () => open.every(({ away }) => !away()))
    await until('it is heard again', async () => {
      one.announce('news', 'again')
      await sleep(20)
      return heard.includes('again')
    })
  })

  const policy: CircuitPolicy = {
    failures: 1,
    ratio: 1,
    minCalls: 100,
    windowMs: 10_000,
    openMs: 100,
    openMaxMs: 100,
    probes: 3,
    rampMs: 0,
  }
  const circuitsOf = (store: OpenedStore['store']) =>
    circuits({ store, clock: systemClock, random: Math.random, policyOf: () => policy, onChange() {} })

  it('a circuit that one opens is open on the other, probes are counted over both, and both see it close', async () => {
    const [one, other] = (await two()).map(circuitsOf) as [ReturnType<typeof circuitsOf>, ReturnType<typeof circuitsOf>]
    // A model that a caller made up, with all that a Redis key may stumble over.
    const target = `p/{odd}%}{ ${randomUUID()}`
    const permits: any[] = [await one.admit(target), other.state(target)]
    one.report(permits[0].permit, false)
    await until('the other knows', () => other.state(target) !== 'closed', 1_000)
    await until('it is half-open for both', () => one.state(target) === 'half-open' && other.state(target) === 'half-open')
    const admissions = await Promise.all([one, other, one, other, one, other].map(circuit => circuit.admit(target)))
    const admitted = admissions.map((admission, at) => ({ admission, at })).filter(({ admission }) => 'permit' in admission)
    assert.equal(admitted.length, 3)
    for (const { admission, at } of admitted) [one, other][at % 2]!.report((admission as any).permit, true)
    await until('it is closed for both', () => one.state(target) === 'closed' && other.state(target) === 'closed', 1_000)
    one.close()
    other.close()
  })

  it('what was lost of an announcement is read again within five seconds', async () => {
    const [one, other] = await two()
    const mute = circuitsOf({ ...one, announce() {} })
    const listening = circuitsOf(other)
    const target = `p/${randomUUID()}`
    assert.equal(listening.state(target), 'closed')
    mute.force(target, 'open')
    await until('it is read', () => listening.state(target) === 'open', 5_000)
    mute.close()
    listening.close()
  })

  it('the lease of a replica that died is free after its time', async () => {
    const [dying, other] = await two()
    const lease: Want = { kind: 'lease', key: `{${randomUUID()}}:lease`, limit: 1, ttlMs: 300 }
    assert.equal((await dying.take(randomUUID(), [lease])).ok, true)
    await dying.close()
    const refused = await other.take(randomUUID(), [lease])
    assert.ok(!refused.ok && refused.retryAfterMs <= 300)
    await sleep(refused.retryAfterMs + 20)
    assert.equal((await other.take(randomUUID(), [lease])).ok, true)
  })

  it('no key of it is without the prefix, and none without an end', async () => {
    const [one] = await two()
    await one.take('a', [{ kind: 'rate', key: '{ends}:r', amount: 1, limit: 5, windowMs: 1_000 }])
    await one.take('b', [{ kind: 'lease', key: '{ends}:l', limit: 5, ttlMs: 1_000 }])
    await one.take('c', [{ kind: 'sum', key: '{ends}:s', amount: 1, limit: 5, ttlMs: 1_000 }])
    await one.add('ends', 1, 1_000)
    await one.write('ends too', '', 1_000)
    await one.claim('ends as well', '', 1_000)
    for (const key of (await server.command('keys', '*')) as string[]) {
      assert.match(key, /^test:/)
      assert.ok((await server.command('pttl', key)) > 0, key)
    }
  })

  /* The script with a clock that the test moves, against a book in which everything ever taken is added up anew. */
  it('2,000 random takes and settles, alone and several at once, at moments between, are those of the book', async t => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))
    const random = seededRandom(seed)
    const whole = (most: number) => Math.floor(random() * (most + 1))
    const client = new Redis(server.url)
    t.after(() => client.disconnect())
    const held = COUNT.lua.replaceAll("redis.call('TIME')", "redis.call('LRANGE', 'held clock', 0, 1)")

    let now = Date.now()
    const book: { id: string; kind: string; at: number; amount: number }[] = []
    const [windowMs, ttlMs] = [1_000, 1_500]
    const used = (kind: string) => {
      const window = (at: number) => Math.floor(at / windowMs)
      const total = (some: typeof book) => some.reduce((all, { amount }) => all + amount, 0)
      const mine = book.filter(each => each.kind === kind)
      if (kind === 'lease') return total(mine.filter(({ at }) => now < at + ttlMs))
      if (kind === 'sum') return total(mine)
      const inWindow = (index: number) => total(mine.filter(({ at }) => window(at) === index))
      return inWindow(window(now)) + inWindow(window(now) - 1) * (1 - (now % windowMs) / windowMs)
    }
    const limits: Record<string, number> = { rate: 20, lease: 4, sum: 200 }
    const spans: Record<string, number> = { rate: windowMs, lease: ttlMs, sum: HOUR_MS }
    const holders: { id: string; kinds: string[]; amounts: number[]; answer: any }[] = []
    let [refusals, late] = [0, 0]

    /** What goes out as one command, with what each answer has to be by the book as it is after those before it. */
    let keys: string[] = []
    let asked: { operation: unknown[]; check: (answer: any) => void }[] = []
    const place = (key: string) => (keys.indexOf(key) + 1 || keys.push(key)) as number
    async function send(deadline: number) {
      const operations = asked.map(({ operation }) => operation)
      const reply = await client.eval(held, keys.length, ...keys, JSON.stringify([deadline, HOUR_MS, ...operations]))
      const answers = JSON.parse(reply as string).slice(1)
      for (const [at, { check }] of asked.entries()) check(answers[at])
      ;[keys, asked] = [[], []]
    }

    function settle(holder: (typeof holders)[number], where: string) {
      const finals = holder.kinds.map((kind, at) => (kind === 'lease' ? 0 : whole(holder.amounts[at]! * 1.2)))
      const wants = holder.kinds.flatMap((kind, at) => [kind, place(kind), finals[at]!, windowMs])
      const operation = ['settle', place(`rec ${holder.id}`), false, ...wants]
      const check = (answer: any) => assert.equal(answer, 'settled', where)
      for (let times = 1 + whole(1); times > 0; times--) asked.push({ operation, check })
      for (const each of book) if (each.id === holder.id) each.amount = finals[holder.kinds.indexOf(each.kind)]!
      holders.splice(holders.indexOf(holder), 1)
    }

    function take(id: string, kinds: string[], amounts: number[], where: string) {
      const wants = kinds.flatMap((kind, at) => [kind, place(kind), amounts[at]!, limits[kind]!, spans[kind]!])
      const operation = ['take', place(`rec ${id}`), ...wants]
      const left = kinds.map((kind, at) => limits[kind]! - used(kind) - amounts[at]!)
      const misfit = left.findIndex(some => some < 0)
      if (misfit !== -1) {
        refusals++
        return asked.push({ operation, check: answer => assert.equal(answer.want, misfit, where) })
      }
      const holder = { id, kinds, amounts, answer: undefined }
      holders.push(holder)
      for (const [at, kind] of kinds.entries()) book.push({ id, kind, at: now, amount: amounts[at]! })
      asked.push({
        operation,
        check(answer) {
          for (const at of kinds.keys()) assert.ok(Math.abs(answer[at] - left[at]!) < 1e-6, `${kinds[at]}: ${answer}, ${where}`)
          holder.answer = answer
        },
      })
    }

    for (let step = 0; step < 2_000; ) {
      now += whole(200)
      await client
        .multi()
        .del('held clock')
        .rpush('held clock', Math.floor(now / 1000), (now % 1000) * 1000)
        .exec()
      for (let together = 1 + (random() < 0.5 ? 0 : whole(5)); together > 0; together--) {
        const where = `SEED=${seed}, step ${++step}`
        const action = random()
        const holder = holders[whole(holders.length - 1)]
        if (action < 0.35 && holder !== undefined) settle(holder, where)
        else if (action < 0.45 && holder !== undefined) {
          const wants = holder.kinds.flatMap((kind, at) => [kind, place(kind), holder.amounts[at]!, limits[kind]!, spans[kind]!])
          asked.push({
            operation: ['take', place(`rec ${holder.id}`), ...wants],
            check: answer => assert.deepEqual(answer, holder.answer, where),
          })
        } else {
          const kinds = ['rate', 'lease', 'sum'].filter(() => random() < 0.8)
          const amounts = kinds.map(kind => (kind === 'lease' ? 1 : whole(8)))
          if (kinds.length > 0) take(String(step), kinds, amounts, where)
        }
      }
      await send(now)
      if (random() > 0.05) continue
      const wants = Object.keys(limits).flatMap(kind => [kind, place(kind), 1, limits[kind]!, spans[kind]!])
      asked.push({
        operation: ['take', place('rec late'), ...wants],
        check: answer => assert.equal(answer, 'late', `SEED=${seed}, step ${step}`),
      })
      late++
      await send(now - 1)
    }
    assert.ok(refusals > 100 && late > 0, `only ${refusals} refusals, ${late} late; SEED=${seed}`)
    await client.flushall()
  })
})
