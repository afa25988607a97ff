import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Level, Target } from '../../src/core/attempt.ts'
import { Fault, type FaultName } from '../../src/core/fault.ts'
import type { Client } from '../../src/gateway/clients.ts'
import { planFor, type Route, routes } from '../../src/gateway/routes.ts'
import { madeCall, madeClient, madeProvider, madeRoute, madeTarget } from './made.ts'

const anyone = madeClient()
const is = (kind: FaultName) => (thrown: unknown) => thrown instanceof Fault && thrown.kind === kind

function found(names: readonly string[], model: string, client = anyone): readonly [string, string] {
  const [route, carried] = routes(names.map(name => madeRoute(name, []))).find(model, client)
  return [route.name, carried]
}

test('an exact name goes before every pattern that fits', () => {
  assert.deepEqual(found(['*', 'gpt-*', 'gpt-4'], 'gpt-4'), ['gpt-4', ''])
  assert.deepEqual(found(['gpt-4', 'gpt-*', '*'], 'gpt-4o'), ['gpt-*', '4o'])
})

test('of the patterns that fit, the one that says most goes first', () => {
  const names = ['*', 'claude-*', 'claude-sonnet-*', '*-latest', 'claude-*-latest']
  assert.deepEqual(found(names, 'claude-sonnet-4'), ['claude-sonnet-*', '4'])
  assert.deepEqual(found(names, 'claude-opus'), ['claude-*', 'opus'])
  assert.deepEqual(found(names, 'claude-opus-latest'), ['claude-*-latest', 'opus'])
  assert.deepEqual(found(names, 'gpt-latest'), ['*-latest', 'gpt'])
  assert.deepEqual(found(names, 'gpt'), ['*', 'gpt'])
})

test('a star carries over all that it stands for, and stands for something', () => {
  assert.deepEqual(found(['openai/*'], 'openai/ft:gpt/4*o x'), ['openai/*', 'ft:gpt/4*o x'])
  assert.throws(() => found(['openai/*'], 'openai/'), is('unknown-route'))
  assert.throws(() => found(['ab*ba'], 'aba'), is('unknown-route'), 'the ends of the pattern do not overlap')
  assert.deepEqual(found(['a.c*'], 'a.cd'), ['a.c*', 'd'])
  assert.throws(() => found(['a.c*'], 'abcd'), is('unknown-route'), 'a dot is a dot')
})

test('a model that no route fits is unknown, in words that help', () => {
  assert.throws(
    () => found(['gpt-4'], 'gpt-5'),
    (thrown: unknown) =>
      thrown instanceof Fault && thrown.kind === 'unknown-route' && thrown.status === 404 && thrown.message.includes('"gpt-5"'),
  )
})

test('a client may ask for its routes only, by the name of the route and not of the model', () => {
  const client = madeClient({ routes: new Set(['gpt-4', 'claude-*']) })
  assert.deepEqual(found(['gpt-4', 'claude-*', 'gpt-5'], 'claude-3', client), ['claude-*', '3'])
  assert.throws(() => found(['gpt-4', 'gpt-5'], 'gpt-5', client), is('forbidden-route'))
  assert.throws(() => found(['gpt-4'], 'gpt-6', client), is('unknown-route'))
  // An exact route is not opened by a pattern that would have fitted.
  assert.throws(() => found(['claude-*', 'claude-opus'], 'claude-opus', client), is('forbidden-route'))
})

test('a client sees the routes that it may ask for, as configured', () => {
  const all = routes(['gpt-4', 'claude-*', 'gpt-5'].map(name => madeRoute(name, [])))
  assert.deepEqual(all.visibleTo(anyone), ['gpt-4', 'claude-*', 'gpt-5'])
  assert.deepEqual(all.visibleTo(madeClient({ routes: new Set(['claude-*']) })), ['claude-*'])
})

interface PlanOptions {
  readonly from?: Level
  readonly call?: object
  readonly client?: Client
  readonly carried?: string
  readonly retries?: Readonly<Record<string, number>>
}

/** A plan as text: `id`, `id+1` for its retries, `id!reason` where it is passed over. */
function planned(route: Route, { call, client = anyone, carried = '', retries = {}, from }: PlanOptions = {}): string[] {
  const retriesOf = (target: Target) => retries[target.id] ?? 0
  const plan = planFor(route, carried, madeCall(call), client, {}, retriesOf, from)
  return plan.map(step => {
    if (!('target' in step)) return step.level
    const { target, again, passedOver, rung } = step
    const tried = target.id + (again > 0 ? `+${again}` : '') + (passedOver === undefined ? '' : `!${passedOver}`)
    return rung === undefined ? tried : `${rung.level}:${tried}`
  })
}

const [A, B, C] = [madeTarget('p/a'), madeTarget('p/b'), madeTarget('q/c')]

test('a plan is the targets as chosen, then the fallbacks', () => {
  assert.deepEqual(planned(madeRoute('r', [A, B], { fallbacks: () => [C] })), ['p/a', 'p/b', 'q/c'])
  const reversed: Route['choose'] = targets => targets.map(({ target }) => target).reverse()
  assert.deepEqual(planned(madeRoute('r', [A, B], { choose: reversed, fallbacks: () => [C] })), ['p/b', 'p/a', 'q/c'])
})

test('no target is planned twice', () => {
  assert.deepEqual(planned(madeRoute('r', [A, B, A], { fallbacks: () => [B, C, A, C] })), ['p/a', 'p/b', 'q/c'])
})

test('retries stand behind their own first try', () => {
  const route = madeRoute('r', [A, B], { fallbacks: () => [C] })
  assert.deepEqual(planned(route, { retries: { 'p/a': 2, 'q/c': 1 } }), ['p/a', 'p/a+1', 'p/a+2', 'p/b', 'q/c', 'q/c+1'])
})

test('what the star stood for reaches targets and fallbacks', () => {
  const route = madeRoute('r-*', [], {
    targets: carried => [{ target: madeTarget(`p/${carried}`), weight: 1 }],
    fallbacks: carried => [madeTarget(`q/${carried}-mini`)],
  })
  assert.deepEqual(planned(route, { carried: 'x' }), ['p/x', 'q/x-mini'])
})

test('a target without a tag that the route or the client requires is passed over, fallbacks included', () => {
  const tagged = (id: string, ...tags: string[]) => madeTarget(id, { tags: new Set(tags) })
  const targets = [tagged('p/us', 'us'), tagged('p/eu', 'eu'), tagged('p/both', 'eu', 'hipaa')]
  const route = madeRoute('r', targets, { require: ['eu'], fallbacks: () => [A] })
  assert.deepEqual(planned(route), ['p/us!tag', 'p/eu', 'p/both', 'p/a!tag'])
  const client = madeClient({ require: ['hipaa'] })
  assert.deepEqual(planned(route, { client, retries: { 'p/us': 2 } }), ['p/us!tag', 'p/eu!tag', 'p/both', 'p/a!tag'])
  assert.deepEqual(planned(madeRoute('r', targets), { client }), ['p/us!tag', 'p/eu!tag', 'p/both'])
})

test('a target that lacks what the call needs is passed over, and one of which nothing is known is not', () => {
  const able = (id: string, ...supports: ('tools' | 'vision' | 'json_schema')[]) =>
    madeTarget(id, { abilities: { supports: new Set(supports) } })
  const route = madeRoute('r', [
    able('p/none'),
    able('p/tools', 'tools'),
    able('p/vision', 'vision'),
    able('p/schema', 'json_schema'),
    A,
  ])
  const tools = [{ type: 'function', function: { name: 'f' } }]
  const image = {
    role: 'user',
    content: [
      { type: 'text', text: 'What is it?' },
      { type: 'image_url', image_url: { url: 'data:,' } },
    ],
  }
  const schema = { type: 'json_schema', json_schema: { name: 's', schema: {} } }
  const passed = (call: object) =>
    planned(route, { call })
      .filter(step => step.endsWith('!incapable'))
      .map(step => step.slice(2, -10))
  assert.deepEqual(passed({}), [])
  assert.deepEqual(passed({ tools: [] }), [])
  assert.deepEqual(passed({ tools }), ['none', 'vision', 'schema'])
  assert.deepEqual(passed({ messages: [image] }), ['none', 'tools', 'schema'])
  assert.deepEqual(passed({ response_format: schema }), ['none', 'tools', 'vision'])
  assert.deepEqual(passed({ response_format: { type: 'json_object' } }), [])
  assert.deepEqual(passed({ tools, response_format: schema }), ['none', 'tools', 'vision', 'schema'])
})

test('a call that is far too long for a context is not sent there; one that may fit is', () => {
  const route = madeRoute('r', [
    madeTarget('p/small', { abilities: { context: 1_000 } }),
    madeTarget('p/large', { abilities: { context: 10_000 } }),
    A,
  ])
  const long = (tokens: number) => ({ messages: [{ role: 'user', content: 'x'.repeat(4 * tokens) }] })
  assert.deepEqual(planned(route, { call: long(900) }), ['p/small', 'p/large', 'p/a'])
  assert.deepEqual(planned(route, { call: long(1_500) }), ['p/small', 'p/large', 'p/a'], 'the estimate is rough')
  assert.deepEqual(planned(route, { call: long(2_500) }), ['p/small!incapable', 'p/large', 'p/a'])
})

test('a provider that refuses the call is passed over', () => {
  const refusing = madeTarget('p/no', {
    provider: madeProvider(call => ((call.body.n ?? 1) > 1 ? 'only one answer' : undefined)),
  })
  const route = madeRoute('r', [refusing, A])
  assert.deepEqual(planned(route), ['p/no', 'p/a'])
  assert.deepEqual(planned(route, { call: { n: 2 } }), ['p/no!incapable', 'p/a'])
})

const rung = (level: 'reduced' | 'minimal', targets: readonly Target[], more: object = {}) => ({
  level,
  targets: () => targets,
  maxTokens: undefined,
  drop: [],
  ...more,
})

test('the rungs are the tail of the plan, in their order, and a level set by hand is its head', () => {
  const rungs = [rung('reduced', [B]), { level: 'cached' }, rung('minimal', [C]), { level: 'offline', message: 'x' }] as const
  const route = madeRoute('r', [A], { rungs })
  const tail = ['reduced:p/b', 'reduced:p/b+1', 'cached', 'minimal:q/c', 'offline']
  assert.deepEqual(planned(route, { retries: { 'p/b': 1 } }), ['p/a', ...tail])
  assert.deepEqual(planned(route, { retries: { 'p/b': 1 }, from: 'reduced' }), tail)
  assert.deepEqual(planned(route, { from: 'minimal' }), ['minimal:q/c', 'offline'])
  assert.deepEqual(planned(route, { from: 'offline' }), ['offline'])
  assert.deepEqual(planned(madeRoute('r', [A]), { from: 'offline' }), ['p/a'], 'a level that the route no longer has')
})

test('a target that has been planned is not planned again for a rung, but one that was ruled out may be, with less in the call', () => {
  const able = (id: string) => madeTarget(id, { abilities: { supports: new Set() } })
  const [plain, other] = [able('p/plain'), able('p/other')]
  const rungs = [rung('reduced', [A, plain]), rung('minimal', [plain, plain, other], { drop: ['tools'] })]
  const route = madeRoute('r', [A, plain, plain], { rungs })
  assert.deepEqual(planned(route, { call: { tools: [{ type: 'function', function: { name: 'f' } }] } }), [
    'p/a',
    'p/plain!incapable',
    'reduced:p/plain!incapable',
    'minimal:p/plain',
    'minimal:p/other',
  ])
})
