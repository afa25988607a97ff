import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type StickyOptions, sticky } from '../../src/gateway/sticky.ts'
import { madeCall, madeChoosers, madeClient, madeTarget } from './made.ts'

const CALLERS = 10_000
const call = madeCall()
const client = madeClient()
const targetsOf = (weights: Readonly<Record<string, number>>) =>
  Object.entries(weights).map(([model, weight]) => ({ target: madeTarget(`p/${model}`), weight }))
const EVEN = targetsOf({ a: 1, b: 1, c: 1, d: 1 })

const chooser = (more: Partial<StickyOptions> = {}) =>
  sticky({ to: 'session', byWeight: false, ramp: () => 1, otherwise: madeChoosers().order, ...more })

/** The order of each of many sessions. */
function orders(targets: typeof EVEN, more: Partial<StickyOptions> = {}): readonly (readonly string[])[] {
  const choose = chooser(more)
  return Array.from({ length: CALLERS }, (_, session) =>
    choose(targets, call, client, { 'x-understudy-session': `session-${session}` }).map(({ model }) => model),
  )
}

const shareOf = (all: readonly (readonly string[])[], model: string, place = 0) =>
  all.filter(order => order[place] === model).length / all.length
const near = (actual: number, expected: number, slack = 0.02) =>
  assert.ok(Math.abs(actual - expected) < slack, `${actual}, not about ${expected}`)

test('the same session has the same order, at every replica and after a restart, whatever the order in which targets are written', () => {
  const first = orders(EVEN)
  assert.deepEqual(orders(EVEN), first)
  assert.deepEqual(orders([...EVEN].reverse()), first)
  // Fixed for ever: another release must not send every caller elsewhere.
  assert.deepEqual(first.slice(0, 3).map(String), ['b,d,c,a', 'd,b,c,a', 'd,b,c,a'])
})

test('sessions spread evenly, and those of a target that is away spread evenly over the others', () => {
  const all = orders(EVEN)
  for (const model of ['a', 'b', 'c', 'd']) near(shareOf(all, model), 0.25)
  const ofA = all.filter(([first]) => first === 'a')
  for (const model of ['b', 'c', 'd']) near(shareOf(ofA, model, 1), 1 / 3, 0.03)
})

test('sessions spread by weight where the route chooses by weight, and only there', () => {
  const heavy = targetsOf({ a: 5, b: 3, c: 2 })
  const weighed = orders(heavy, { byWeight: true })
  near(shareOf(weighed, 'a'), 0.5)
  near(shareOf(weighed, 'b'), 0.3)
  near(shareOf(weighed, 'c'), 0.2)
  for (const model of ['a', 'b', 'c']) near(shareOf(orders(heavy), model), 1 / 3)
})

test('a target that joins takes its share of the sessions over, and no other session moves', () => {
  const before = orders(EVEN)
  const after = orders([...EVEN, ...targetsOf({ e: 1 })])
  const moved = after.filter(([first], at) => first !== before[at]![0])
  assert.ok(moved.every(([first]) => first === 'e'))
  near(moved.length / CALLERS, 0.2)
})

test('a target that leaves gives up its own sessions, each to its second', () => {
  const before = orders(EVEN)
  const after = orders(EVEN.filter(({ target }) => target.model !== 'b'))
  for (const [at, order] of before.entries())
    assert.deepEqual(
      after[at],
      order.filter(model => model !== 'b'),
    )
})

test('while a target comes back its sessions do, each once and for good, in the share that the ramp gives', () => {
  const home = orders(EVEN)
  let back = new Set<number>()
  for (const part of [0.1, 0.3, 0.6, 0.9, 1]) {
    const now = orders(EVEN, { ramp: id => (id === 'p/a' ? part : 1) })
    const ofA = home.flatMap(([first], at) => (first === 'a' ? [at] : []))
    const returned = new Set(ofA.filter(at => now[at]![0] === 'a'))
    near(returned.size / ofA.length, part, 0.03)
    for (const at of back) assert.ok(returned.has(at), 'who is back stays')
    for (const at of ofA) if (!returned.has(at)) assert.deepEqual(now[at], [...home[at]!.slice(1), 'a'])
    for (const [at, order] of home.entries()) if (order[0] !== 'a') assert.equal(now[at]![0], order[0])
    back = returned
  }
})

test('a session is the header, else the user of the call; without either, the route chooses', () => {
  const choose = chooser({ otherwise: () => [EVEN[3]!.target] })
  const modelsOf = (headers: Parameters<typeof choose>[3], more: object = {}) =>
    choose(EVEN, madeCall(more), client, headers).map(({ model }) => model)
  const byHeader = Array.from({ length: 20 }, (_, at) => modelsOf({ 'x-understudy-session': `s${at}` }))
  for (const [at, order] of byHeader.entries()) {
    assert.deepEqual(modelsOf({}, { user: `s${at}` }), order)
    assert.deepEqual(modelsOf({ 'x-understudy-session': `s${at}` }, { user: 'another' }), order)
  }
  assert.ok(new Set(byHeader.map(String)).size > 10)
  assert.deepEqual(modelsOf({}), ['d'])
  assert.deepEqual(modelsOf({ 'x-understudy-session': '' }, { user: '' }), ['d'])
  assert.deepEqual(modelsOf({}, { user: null }), ['d'])
})

test('sticky to the client, every call of a client has the same order, and clients spread', () => {
  const choose = chooser({ to: 'client', otherwise: () => assert.fail('a client is always known') })
  const orderOf = (name: string, headers = {}) => choose(EVEN, call, madeClient({ name }), headers).map(({ model }) => model)
  const firsts = Array.from({ length: 400 }, (_, at) => {
    const order = orderOf(`team-${at}`)
    assert.deepEqual(orderOf(`team-${at}`, { 'x-understudy-session': 'any' }), order)
    return order
  })
  for (const model of ['a', 'b', 'c', 'd']) near(shareOf(firsts, model), 0.25, 0.08)
})

test('the same session of two clients is two sessions', () => {
  const choose = chooser()
  const orderOf = (name: string, session: number) =>
    String(choose(EVEN, call, madeClient({ name }), { 'x-understudy-session': String(session) }).map(({ model }) => model))
  const same = Array.from({ length: 1_000 }, (_, session) => orderOf('one', session) === orderOf('two', session))
  near(same.filter(Boolean).length / 1_000, 1 / 24, 0.03)
})
