/* What `latency` and `least_busy` make of targets over time, with a clock that is held and a seed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../src/core/fault.ts'
import { type AnswerKind, paces } from '../../src/resilience/pace.ts'
import { seededRandom } from '../state/seeded-random.ts'
import { heldClock } from '../support/clock.ts'
import { madeCall, madeChoosers, madeClient, madeTarget } from './made.ts'

/** Milliseconds to first content, or a fault. */
type Behaviour = () => number | Fault

interface WorldOptions {
  readonly choose?: 'latency' | 'least_busy'
  readonly ramp?: (target: string) => number
  readonly seed?: number
}

/** Targets with their ways, and calls to them that go on side by side. */
function world(ways: Readonly<Record<string, Behaviour>>, { choose = 'latency', ramp = () => 1, seed = 5 }: WorldOptions = {}) {
  const clock = heldClock()
  const all = paces(clock)
  const chosen = madeChoosers({ ramp, random: seededRandom(seed), paces: all })[choose]
  const targets = Object.keys(ways).map(model => ({ target: madeTarget(`p/${model}`), weight: 1 }))
  const client = madeClient()

  /** One call to whoever is first; it answers (or fails) when its time has come. */
  function call(kind: AnswerKind): string {
    const { id, model } = chosen(targets, madeCall({ stream: kind === 'stream' }), client, {})[0]!
    const begunTicks = clock.ticks()
    const pace = all.begun(id, kind)
    const outcome = ways[model]!()
    clock.after(outcome instanceof Fault ? 1 : outcome, () => {
      const ms = clock.ticks() - begunTicks
      if (outcome instanceof Fault) return all.over(pace, outcome, ms)
      all.answered(pace, kind, ms)
      all.over(pace, undefined, 0)
    })
    return model
  }

  return {
    clock,
    all,
    call,
    /** @returns the share of the calls that each target got */
    async calls(count: number, everyMs: number, kind: AnswerKind = 'stream') {
      const got: Record<string, number> = Object.fromEntries(Object.keys(ways).map(model => [model, 0]))
      for (let made = 0; made < count; made++) {
        got[call(kind)]!++
        await clock.pass(everyMs)
      }
      return (model: string) => got[model]! / count
    },
  }
}

const refusing = () => new Fault('upstream-overloaded')

test('latency goes to the quicker of two, leaves the slow one a call now and then, and comes back to it when it has recovered', async () => {
  let slowMs = 2_000
  const { calls } = world({ slow: () => slowMs, quick: () => 100 })
  const shares = await calls(1_000, 150)
  assert.ok(shares('quick') > 0.95, `${shares('quick')}`)
  assert.ok(shares('slow') > 0.002, 'it can show that it has recovered')
  slowMs = 50
  await calls(400, 150)
  const then = await calls(400, 150)
  assert.ok(then('slow') > 0.95, `${then('slow')}`)
})

test('latency leaves a target that turns slow after its first slow answer', async () => {
  let ms = 50
  const { calls } = world({ a: () => ms, b: () => 100 })
  const before = await calls(100, 200)
  assert.ok(before('a') > 0.9)
  ms = 3_000
  await calls(1, 4_000)
  assert.equal((await calls(20, 200))('b'), 1)
})

test('latency asks every unknown target at the very beginning, whichever are drawn', async () => {
  for (let seed = 0; seed < 50; seed++) {
    const { call } = world({ a: () => 500, b: () => 500, c: () => 500, d: () => 500 }, { seed })
    assert.deepEqual([1, 2, 3, 4].map(() => call('stream')).sort(), ['a', 'b', 'c', 'd'])
  }
})

test('latency spends one call in ten seconds on a target that goes on to tell nothing', async () => {
  const { calls } = world({ mute: () => new Fault('upstream-refused-call'), known: () => 100 })
  const shares = await calls(1_000, 100)
  assert.equal(shares('mute'), 10 / 1_000)
})

test('latency is not attracted by quick failures, not even where good answers take longer than a failure counts for', async () => {
  for (const kind of ['stream', 'whole'] as const) {
    const { calls } = world({ refusing, slow: () => 20_000 })
    const shares = await calls(500, 10_000, kind)
    assert.ok(shares('slow') > 0.75, `${kind}: ${shares('slow')}`)
  }
})

test('latency compares answers with their own kind', async () => {
  const { all, clock, call } = world({ streamer: () => 1, generator: () => 1 })
  const tell = (id: string, kind: AnswerKind, ms: number) => {
    const pace = all.begun(id, kind)
    all.answered(pace, kind, ms)
    all.over(pace, undefined, 0)
  }
  tell('p/streamer', 'stream', 100)
  tell('p/streamer', 'whole', 9_000)
  tell('p/generator', 'stream', 500)
  tell('p/generator', 'whole', 4_000)
  assert.equal(call('stream'), 'streamer')
  await clock.pass(10)
  assert.equal(call('whole'), 'generator')
})

test('latency spreads calls of one moment over targets that are equally quick', async () => {
  const { call, calls, clock } = world({ a: () => 100, b: () => 100, c: () => 100 })
  await calls(10, 200)
  const got = { a: 0, b: 0, c: 0 }
  for (let made = 0; made < 300; made++) got[call('stream') as keyof typeof got]++
  for (const count of Object.values(got)) assert.ok(count >= 90 && count <= 110, JSON.stringify(got))
  await clock.pass(1_000)
})

test('latency lists whoever follows by cost, the quicker first', async () => {
  const clock = heldClock()
  const all = paces(clock)
  const times = { d: 400, a: 100, c: 300, b: 200 }
  for (const [model, ms] of Object.entries(times)) {
    const pace = all.begun(`p/${model}`, 'stream')
    all.answered(pace, 'stream', ms)
    all.over(pace, undefined, 0)
  }
  const { latency } = madeChoosers({ random: seededRandom(3), paces: all })
  const targets = Object.keys(times).map(model => ({ target: madeTarget(`p/${model}`), weight: 1 }))
  const firsts = new Set<string>()
  for (let draw = 0; draw < 200; draw++) {
    const [first, ...others] = latency(targets, madeCall({ stream: true }), madeClient(), {}).map(({ model }) => model)
    firsts.add(first!)
    assert.deepEqual(
      others,
      ['a', 'b', 'c', 'd'].filter(model => model !== first),
    )
  }
  assert.deepEqual([...firsts].sort(), ['a', 'b', 'c'], 'of two that are drawn, the slowest never wins')
})

test('latency gives a target in its ramp no more than its share, however quick it is', async () => {
  const { calls } = world({ back: () => 10, other: () => 500 }, { ramp: id => (id === 'p/back' ? 0.3 : 1) })
  const shares = await calls(3_000, 600)
  assert.ok(Math.abs(shares('back') - 0.3) < 0.03, `${shares('back')}`)
})

test('least_busy fills targets evenly, and equals by lot', () => {
  const ways = { a: () => 1_000, b: () => 1_000, c: () => 1_000 }
  const { call, all } = world(ways, { choose: 'least_busy' })
  for (let made = 0; made < 300; made++) {
    call('stream')
    const loads = Object.keys(ways).map(model => all.inFlight(`p/${model}`))
    assert.ok(Math.max(...loads) - Math.min(...loads) <= 1, loads.join())
  }
  const firsts = new Map<string, number>()
  for (let seed = 0; seed < 300; seed++) {
    const first = world(ways, { choose: 'least_busy', seed }).call('whole')
    firsts.set(first, (firsts.get(first) ?? 0) + 1)
  }
  for (const count of firsts.values()) assert.ok(count > 70, [...firsts].join())
})

test('least_busy gives a slow target fewer calls, as it is busy longer', async () => {
  const { calls } = world({ slow: () => 900, quick: () => 100 }, { choose: 'least_busy' })
  const shares = await calls(2_000, 50)
  assert.ok(shares('quick') > 0.75, `${shares('quick')}`)
})

test('least_busy gives a target in its ramp no more than its share', async () => {
  const ramp = (id: string) => (id === 'p/back' ? 0.2 : 1)
  const { calls } = world({ back: () => 10, other: () => 900 }, { choose: 'least_busy', ramp })
  const shares = await calls(3_000, 100)
  assert.ok(Math.abs(shares('back') - 0.2) < 0.03, `${shares('back')}`)
})
