import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { log } from '../../src/telemetry/log.ts'
import { type WebhookEvent, webhooks } from '../../src/telemetry/webhooks.ts'
import { heldClock } from '../support/clock.ts'

const ALL = ['circuit.opened', 'route.exhausted'] as const

function open(
  answers: (n: number) => number | Promise<number> = () => 200,
  more: { on?: readonly WebhookEvent[]; secret?: string } = {},
) {
  const clock = heldClock()
  const sent: { event: string; headers: Readonly<Record<string, string>>; text: string; body: any }[] = []
  const lines: any[] = []
  const hooks = webhooks({
    receivers: [{ url: 'http://receiver/hook', secret: more.secret, on: more.on ?? ALL }],
    async send({ url, headers, body }) {
      assert.equal(url, 'http://receiver/hook')
      sent.push({ event: headers['x-understudy-event']!, headers, text: body, body: JSON.parse(body) })
      return answers(sent.length)
    },
    clock,
    log: log('debug', text => text, { write: line => lines.push(JSON.parse(line)) }),
  })
  return { hooks, clock, sent, lines }
}

const refused = () =>
  Promise.reject(Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:80'), { kind: 'upstream-unreachable' }))

test('what happens is told at once, with its subject and its time', async () => {
  const { hooks, clock, sent } = open()
  hooks.tell('circuit.opened', { target: 'a/m' })
  await clock.pass(0)
  const { id, ...body } = sent[0]!.body
  assert.match(id, /^[0-9a-f-]{36}$/)
  assert.deepEqual(body, { event: 'circuit.opened', at: '2023-11-14T22:13:20.000Z', target: 'a/m', times: 1 })
  assert.equal(sent[0]!.headers['x-understudy-timestamp'], '1700000000')
  assert.equal(sent[0]!.headers['x-understudy-signature'], undefined)
})

test('a secret signs the body', async () => {
  const { hooks, clock, sent } = open(() => 200, { secret: 'hook-secret' })
  hooks.tell('circuit.opened', { target: 'a/m' })
  await clock.pass(0)
  const expected = createHmac('sha256', 'hook-secret').update(sent[0]!.text).digest('hex')
  assert.equal(sent[0]!.headers['x-understudy-signature'], `sha256=${expected}`)
})

test('what nobody asked to be told of is not told', async () => {
  const { hooks, clock, sent } = open(() => 200, { on: ['key.retired'] })
  hooks.tell('circuit.opened', { target: 'a/m' })
  await clock.pass(120_000)
  assert.equal(sent.length, 0)
})

test('the same about the same is told once a minute, with how often it was; about another at once', async () => {
  const { hooks, clock, sent } = open()
  for (let n = 0; n < 500; n++) hooks.tell('route.exhausted', { route: 'r' })
  hooks.tell('route.exhausted', { route: 'other' })
  await clock.pass(59_999)
  assert.deepEqual(
    sent.map(({ body }) => [body.route, body.times]),
    [
      ['r', 1],
      ['other', 1],
    ],
  )
  await clock.pass(1)
  assert.deepEqual([sent[2]!.body.route, sent[2]!.body.times, sent.length], ['r', 499, 3])
  await clock.pass(600_000)
  assert.equal(sent.length, 3)
  hooks.tell('route.exhausted', { route: 'r' })
  await clock.pass(0)
  assert.equal(sent.length, 4)
  assert.equal(sent[3]!.body.times, 1)
})

test('a receiver that fails is tried again three times, with longer and longer pauses', async () => {
  const { hooks, clock, sent, lines } = open(n => (n < 4 ? 503 : 200))
  hooks.tell('circuit.opened', { target: 'a/m' })
  const counts = []
  for (const ms of [0, 1_000, 5_000, 25_000, 600_000]) {
    await clock.pass(ms)
    counts.push(sent.length)
  }
  assert.deepEqual(counts, [1, 2, 3, 4, 4])
  assert.equal(new Set(sent.map(({ text }) => text)).size, 1)
  assert.equal(lines.length, 0)
})

test('what a receiver will never take is not sent to it again', async () => {
  const { hooks, clock, sent } = open(() => 404)
  hooks.tell('circuit.opened', { target: 'a/m' })
  await clock.pass(600_000)
  assert.equal(sent.length, 1)
})

test('a receiver that is away costs the log one line, and one when it is back; no address is in them', async () => {
  let isAway = true
  const { hooks, clock, lines } = open(() => (isAway ? refused() : 200))
  for (const target of ['a/m', 'b/m', 'c/m']) hooks.tell('circuit.opened', { target })
  await clock.pass(600_000)
  isAway = false
  hooks.tell('circuit.opened', { target: 'd/m' })
  await clock.pass(0)
  assert.deepEqual(
    lines.map(({ level, msg, webhook, receiver, detail }) => ({ level, msg, webhook, receiver, detail })),
    [
      { level: 40, msg: 'webhook', webhook: 'webhooks[0]', receiver: 'away', detail: 'upstream-unreachable' },
      { level: 30, msg: 'webhook', webhook: 'webhooks[0]', receiver: 'back', detail: undefined },
    ],
  )
})

test('what waits is bounded: the oldest is given up', async () => {
  let isAway = true
  const { hooks, clock, sent } = open(() => (isAway ? refused() : 200))
  for (let n = 0; n < 300; n++) hooks.tell('circuit.opened', { target: `p/${n}` })
  await clock.pass(0)
  isAway = false
  sent.length = 0
  await clock.pass(1_000)
  const told = sent.map(({ body }) => body.target)
  assert.equal(told.length, 101)
  assert.deepEqual([told[0], told[1], told.at(-1)], ['p/0', 'p/200', 'p/299'])
})

test('the end sends what waits, without a second try', async () => {
  const { hooks, clock, sent } = open(() => 503)
  hooks.tell('circuit.opened', { target: 'a/m' })
  hooks.tell('circuit.opened', { target: 'b/m' })
  await clock.pass(0)
  await hooks.close()
  assert.deepEqual(
    sent.map(({ body }) => body.target),
    ['a/m', 'a/m', 'b/m'],
  )
  hooks.tell('circuit.opened', { target: 'c/m' })
  await clock.pass(0)
  assert.equal(sent.length, 3)
})

test('the end does not wait for a receiver that does not answer', async () => {
  const { hooks, clock } = open(() => new Promise<number>(() => {}))
  hooks.tell('circuit.opened', { target: 'a/m' })
  const closed = hooks.close()
  await clock.pass(2_000)
  await closed
})
