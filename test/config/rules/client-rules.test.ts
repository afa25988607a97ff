// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the notation of the configuration, not of JavaScript
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { accepted, ENV, expectProblems, PROVIDERS, ROUTES } from '../marked.ts'

const PARTS = PROVIDERS + ROUTES
const HASH = createHash('sha256').update('client-key-1').digest('hex')

test('two clients cannot have one name', async () => {
  await expectProblems(`${PARTS}clients:\n  - {name: a, key: x1}\n  - {name: ▸a, key: x2}\n`, [
    'clients[1].name  two clients have the name "a"',
  ])
})

test('a client names routes that are there', async () => {
  await expectProblems(
    `${PARTS}  "claude-*": [openai/*]\nclients: [{name: a, key: x, routes: [gpt-4, "claude-*", ▸gtp-4, ▸other]}]\n`,
    [
      'clients[0].routes[2]  there is no route "gtp-4" (did you mean "gpt-4"?)',
      'clients[0].routes[3]  there is no route "other"',
    ],
  )
  await expectProblems(`${PARTS}clients: [{name: a, key: x, routes: ▸[]}]\n`, [
    'clients[0].routes  is empty; it needs at least one entry',
  ])
})

test('a client has a key or the hash of one, not both and not neither', async () => {
  await expectProblems(`${PARTS}clients:\n  - {name: a, key: x, ▸key_sha256: ${HASH}}\n  - ▸{name: b}\n`, [
    'clients[0].key_sha256  either key or key_sha256, not both',
    'clients[1].key  is missing: a client has a key or a key_sha256',
  ])
})

test('a hash is 64 hexadecimal digits, in any letters', async () => {
  const config = await accepted(`${PARTS}clients: [{name: a, key_sha256: ${HASH.toUpperCase()}}]\n`)
  assert.equal(config.clients[0]?.key_sha256, HASH)
  await expectProblems(`${PARTS}clients: [{name: a, key_sha256: ▸abc}, {name: b, key_sha256: ▸"${'g'.repeat(64)}"}]\n`, [
    'clients[0].key_sha256  expected 64 hexadecimal digits, as printed by `understudy keys new`',
    'clients[1].key_sha256  expected 64 hexadecimal digits, as printed by `understudy keys new`',
  ])
})

test('two clients cannot have one key, hashed or not', async () => {
  await expectProblems(`${PARTS}clients:\n  - {name: a, key: env:CLIENT_KEY}\n  - {name: b, key_sha256: ▸${HASH}}\n`, [
    'clients[1].key_sha256  clients[0] has the same key; each client needs its own',
  ])
})

test('a client key can be sent as a bearer, and names and tags are single words', async () => {
  await expectProblems(`${PARTS}clients: [{name: ▸"a b", key: ▸"x y", require: [▸""], tags: {team: ▸3}}]\n`, [
    'clients[0].name  expected one word of up to 128 visible ASCII characters, without spaces',
    'clients[0].key  holds a character that cannot stand in a bearer token (a space or a line break?)',
    'clients[0].require[0]  expected one word of up to 128 visible ASCII characters, without spaces',
    'clients[0].tags.team  expected text, found a number',
  ])
})

const OPEN =
  'server.listen  others can reach this address and there are no clients: list them under clients, listen on 127.0.0.1, or say open: true'

test('beyond loopback the gateway wants clients, or to be told that it is open', async () => {
  for (const host of ['0.0.0.0', '"[::]', 'gateway.example.com']) {
    const listen = host.startsWith('"') ? `${host}:8080"` : `${host}:8080`
    await expectProblems(`${PARTS}server: {listen: ▸${listen}}\n`, [OPEN])
    await expectProblems(`${PARTS}server: {listen: ▸${listen}}\nclients: []\n`, [OPEN])
    await accepted(`${PARTS}server: {listen: ${listen}, open: true}\n`)
    await accepted(`${PARTS}server: {listen: ${listen}}\nclients: [{name: a, key: x}]\n`)
  }
  for (const listen of ['127.0.0.1:1', 'localhost:1', '"[::1]:1"']) await accepted(`${PARTS}server: {listen: ${listen}}\n`)
})

test('beyond loopback the admin listener wants a token', async () => {
  const text = (mark: string, token: string) => `${PARTS}admin: {listen: ${mark}0.0.0.0:9090${token}}\n`
  const message =
    'admin.listen  others can reach this address and there is no token: set the variable UNDERSTUDY_ADMIN_TOKEN or admin.token, or listen on 127.0.0.1'
  await expectProblems(text('▸', ''), [message])
  await expectProblems(text('▸', ', token: env:UNDERSTUDY_ADMIN_TOKEN'), [message])
  await accepted(text('', ''), { env: { ...ENV, UNDERSTUDY_ADMIN_TOKEN: 'token' } })
  await accepted(text('', ', token: "${CLIENT_KEY}"'))
})

test('an address has a host and a port', async () => {
  const form = 'write it as host:port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080'
  await expectProblems(`${PARTS}server: {listen: ▸8080}\nadmin: {listen: ▸localhost}\n`, [
    'server.listen  expected text, found a number',
    `admin.listen  "localhost" is not an address; ${form}`,
  ])
})

test('the two listeners cannot share an address', async () => {
  await expectProblems(`${PARTS}server: {listen: 127.0.0.1:7000}\nadmin: {listen: ▸127.0.0.1:7000}\n`, [
    'admin.listen  server.listen has the same address',
  ])
  await expectProblems(`${PARTS}server: {listen: ▸127.0.0.1:9090}\n`, ['server.listen  the admin listener has this address'])
  await accepted(`${PARTS}server: {listen: 127.0.0.1:0}\nadmin: {listen: 127.0.0.1:0}\n`)
})

test('more than one worker wants a Redis', async () => {
  const message =
    'server.workers  more than one process needs state.redis, where they share circuits, limits and budgets: set it, or leave workers at 1'
  for (const workers of ['2', 'auto']) {
    await expectProblems(`${PARTS}server: {workers: ▸${workers}}\n`, [message])
    await expectProblems(`${PARTS}server: {workers: ▸${workers}}\nstate: {file: ./understudy.db}\n`, [message])
    await accepted(`${PARTS}server: {workers: ${workers}}\nstate: {redis: "redis://localhost"}\n`)
  }
  await accepted(`${PARTS}server: {workers: 1}\n`)
})
