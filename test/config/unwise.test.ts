import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { unwise } from '../../src/config/unwise.ts'

const PROVIDERS = `providers:
  a: {type: openai, keys: [key-of-a], models: {m: {price: {input: 1, output: 1}}}}
  b: {type: anthropic, keys: [key-of-b], models: {m: {price: {input: 1, output: 1}}}}
  c: {type: openai, keys: [key-of-c], base_url: "https://elsewhere.example/v1", models: {m: {price: {input: 1, output: 1}}}}
  same-host: {type: openai, keys: [other-key]}
  same-key: {type: openai, keys: [key-of-a], base_url: "https://proxy.example/v1"}
`

async function doubts(rest: string, providers = PROVIDERS): Promise<readonly string[]> {
  const loaded = await parseConfig(providers + rest, 'u.yaml', { env: {} })
  assert.ok(loaded.ok, JSON.stringify(loaded))
  return unwise(loaded.config, loaded.problemAt, () => false).map(formatProblem)
}

test('what is well is not doubted', async () => {
  const well =
    'routes:\n  r: {choose: cost, targets: [a/m], fallbacks: [b/m], deadline: 2m, hedge: {after: 4s}, sticky: session}\n'
  assert.deepEqual(await doubts(`${well}clients: [{name: x, key: k, budget: {usd: 1, per: day}}]\n`), [])
})

/** Each with the beginning of the one line that it is told by. */
const DOUBTED: readonly (readonly [what: string, yaml: string, told: RegExp])[] = [
  ['a route with one provider', 'routes:\n  r: [a/m, a/n]\n', /^u\.yaml:8:6 {2}routes\.r {2}has one provider only, "a"/],
  [
    'a fallback at the host of the first target',
    'routes:\n  r: {targets: [a/m], fallbacks: [b/m, same-host/m]}\n',
    /^u\.yaml:8:40 {2}routes\.r\.fallbacks\[1\] {2}shares the host with "a"/,
  ],
  [
    'a fallback with a key of the first target',
    'routes:\n  r: {targets: [a/m], fallbacks: [same-key/m]}\n',
    /^u\.yaml:8:35 {2}routes\.r\.fallbacks\[0\] {2}shares a key with "a"/,
  ],
  [
    'a deadline that leaves no time for a second target',
    'routes:\n  r: {targets: [a/m], fallbacks: [b/m], deadline: 30s}\n',
    /^u\.yaml:8:51 {2}routes\.r\.deadline {2}is over before the first_token of a\/m \(30 s\) can be, and no other target/,
  ],
  [
    'a deadline that leaves no time for the last target',
    'routes:\n  r: {targets: [a/m], fallbacks: [b/m, c/m], deadline: 70s}\n',
    /^u\.yaml:8:56 {2}routes\.r\.deadline {2}is over before the 3 first targets .* together 90 s/,
  ],
  [
    'a hedge after the first token is due',
    'routes:\n  r: {targets: [a/m], fallbacks: [b/m], hedge: {after: 30s}}\n',
    /^u\.yaml:8:56 {2}routes\.r\.hedge\.after {2}comes after the first_token of a\/m \(30 s\)/,
  ],
  [
    'a choice by cost without prices',
    'routes:\n  r: {choose: cost, targets: [a/m, b/unknown]}\n',
    /^u\.yaml:8:15 {2}routes\.r\.choose {2}goes by cost, and nothing is known of what b\/unknown cost/,
  ],
  [
    'stickiness by client without clients',
    'routes:\n  r: {targets: [a/m, b/m], sticky: client}\n',
    /^u\.yaml:8:36 {2}routes\.r\.sticky {2}goes by client, and without clients/,
  ],
  [
    'a budget without prices',
    'routes:\n  r: [a/m, b/unknown]\nclients: [{name: x, key: k, budget: {usd: 1, per: day}}]\n',
    /^u\.yaml:9:37 {2}clients\[0\]\.budget {2}nothing is known of the price of b\/unknown/,
  ],
]

for (const [what, yaml, told] of DOUBTED) {
  test(`${what} is told, once, with its place`, async () => {
    const lines = await doubts(yaml)
    assert.equal(lines.length, 1, lines.join('\n'))
    assert.match(lines[0]!, told)
  })
}

test('a spend cap without prices is told, and a budget for routes that the client may not ask for is not', async () => {
  const capped = PROVIDERS.replace('[other-key]', '[other-key], spend_cap: {usd: 1, per: day}')
  const lines = await doubts(
    'routes:\n  r: [same-host/x, b/m]\n  s: [a/m, b/m]\nclients: [{name: x, key: k, routes: [s], budget: {usd: 1, per: day}}]\n',
    capped,
  )
  assert.deepEqual(
    lines.map(line => line.split('  ')[1]),
    ['providers.same-host.spend_cap'],
  )
})

test('nothing that is told holds a key', async () => {
  for (const [, yaml] of DOUBTED) assert.doesNotMatch((await doubts(yaml)).join('\n'), /key-of-|other-key/)
})
