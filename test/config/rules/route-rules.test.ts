import { test } from 'node:test'
import { accepted, expectProblems, PROVIDERS } from '../marked.ts'

test('a target leads to a provider of this file', async () => {
  await expectProblems(
    `${PROVIDERS}routes:
  a: [▸opnai/gpt-4o]
  b:
    targets: [openai/x, {target: ▸azure/x}]
    fallbacks: [▸openai2/x]
    degrade: [{level: reduced, targets: [▸openay/x]}]
`,
    [
      'routes.a[0]  there is no provider "opnai" (did you mean "openai"?)',
      'routes.b.targets[1].target  there is no provider "azure"',
      'routes.b.fallbacks[0]  there is no provider "openai2" (did you mean "openai"?)',
      'routes.b.degrade[0].targets[0]  there is no provider "openay" (did you mean "openai"?)',
    ],
  )
})

test('a target is a provider, a slash and a model', async () => {
  await expectProblems(`${PROVIDERS}routes: {a: [▸gpt-4o, ▸openai, ▸openai/, ▸/gpt-4o, ▸""]}\n`, [
    'routes.a[0]  "gpt-4o" is not a target; write it as provider/model',
    'routes.a[1]  "openai" is not a target; write it as provider/model, such as openai/…',
    'routes.a[2]  "openai/" is not a target; write it as provider/model',
    'routes.a[3]  "/gpt-4o" is not a target; write it as provider/model',
    'routes.a[4]  is empty',
  ])
})

test('a route cannot be a target', async () => {
  await expectProblems(`${PROVIDERS}routes:\n  a: [openai/x]\n  b: [▸a]\n  c/d: [▸a/x]\n  e: [▸c/d]\n`, [
    'routes.b[0]  "a" is a route, and a route cannot be a target; name its targets here',
    'routes.c/d[0]  "a/x" is a route, and a route cannot be a target; name its targets here',
    'routes.e[0]  "c/d" is a route, and a route cannot be a target; name its targets here',
  ])
})

test('a provider and a route may have the same name', async () => {
  await accepted(`${PROVIDERS}routes:\n  openai: [openai/x]\n  openai/x: [openai/x]\n`)
})

test('the model of a target may hold slashes and colons', async () => {
  await accepted(`${PROVIDERS}routes: {a: ["openai/meta-llama/Llama-3.3:free"]}\n`)
})

test('a * carries over what the * of the name stood for', async () => {
  await accepted(`${PROVIDERS}routes:\n  "*": [openai/*]\n  "claude-*": [openai/x, openai/claude-*-latest]\n`)
  await expectProblems(`${PROVIDERS}routes:\n  a: [▸openai/*]\n  ▸"a*b*": [openai/x]\n  "c*": [▸openai/*-*]\n`, [
    'routes.a[0]  a "*" carries over what the "*" in the name of the route stood for, and that name has none',
    'routes.a*b*  the name of a route may hold one "*" at most',
    'routes.c*[0]  the model of a target may hold one "*" at most',
  ])
})

test('the name of a route is printable ASCII without spaces', async () => {
  const message = 'the name of a route has 1 to 256 printable ASCII characters, without spaces'
  await expectProblems(
    `${PROVIDERS}routes:\n  ▸"a b": [openai/x]\n  ▸"é": [openai/x]\n  ▸"": [openai/x]\n  ▸${'x'.repeat(257)}: [openai/x]\n`,
    [`routes["a b"]  ${message}`, `routes["é"]  ${message}`, `routes[""]  ${message}`, `routes.${'x'.repeat(257)}  ${message}`],
  )
  await accepted(`${PROVIDERS}routes:\n  ${'x'.repeat(256)}: [openai/x]\n`)
})

test('only the faults that the table allows can be overridden', async () => {
  await expectProblems(
    `${PROVIDERS}routes:\n  a: {targets: [openai/x], faults: {▸content-filterd: fail_over, ▸upstream-error: return, content-filtered: ▸failover}}\n`,
    [
      'routes.a.faults.content-filterd  there is no such fault (did you mean "content-filtered"?)',
      'routes.a.faults.upstream-error  this fault cannot be changed; only upstream-refused-call and content-filtered can',
      'routes.a.faults.content-filtered  expected one of fail_over, return, found "failover" (did you mean "fail_over"?)',
    ],
  )
})

test('what a route chooses, sticks to and recovers with is one of a few words', async () => {
  await expectProblems(
    `${PROVIDERS}routes:\n  a: {targets: [openai/x], choose: ▸weigthed, sticky: ▸sesion, recover: ▸true, degrade: [{level: ▸minmal}]}\n`,
    [
      'routes.a.choose  expected one of order, weighted, latency, cost, least_busy, found "weigthed" (did you mean "weighted"?)',
      'routes.a.sticky  expected one of off, client, session, found "sesion" (did you mean "session"?)',
      'routes.a.recover  expected one of off, splice, prefill, hold, found true',
      'routes.a.degrade[0].level  expected one of reduced, minimal, cached, offline, found "minmal" (did you mean "minimal"?)',
    ],
  )
})

test('a rung has something to give, and leaves something to those after it', async () => {
  const route = (rest: string) => `${PROVIDERS}routes:\n  a: {targets: [openai/x], ${rest}}\n`
  await expectProblems(route('degrade: [{level: ▸cached}]'), [
    'routes.a.degrade[0].level  there are no answers to take from a cache: give the route one, such as cache: {ttl: 10m, stale: 24h}',
  ])
  await expectProblems(route('cache: {ttl: 1m}, degrade: [{level: ▸offline, message: x}, {level: cached}, {level: ▸cached}]'), [
    'routes.a.degrade[0].level  offline always answers, so nothing after it would ever be tried; put it at the end',
    'routes.a.degrade[2].level  the level "cached" is here twice',
  ])
  await accepted(
    route(
      'cache: {ttl: 1m, stale: 1h}, degrade: [{level: reduced, targets: [openai/y], max_tokens: 5, drop: [vision]}, {level: minimal, targets: [openai/z]}, {level: cached}, {level: offline, message: x}]',
    ),
  )
})
