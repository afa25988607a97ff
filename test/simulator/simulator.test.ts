import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SimulatorConfig } from '../../src/config/simulation.ts'
import { type SimulatedCall, type Simulator, startSimulator } from '../../src/simulator/simulator.ts'
import { ask, config, MESSAGES, SAY_HELLO, SAY_HELLO_TO_CLAUDE } from './raw-client.ts'

async function start(about: Partial<SimulatorConfig> = {}, random?: () => number): Promise<Simulator & AsyncDisposable> {
  const simulator = await startSimulator(config(about), random === undefined ? {} : { random })
  return Object.assign(simulator, { [Symbol.asyncDispose]: () => simulator.close() })
}

async function until(holds: () => boolean): Promise<void> {
  const started = performance.now()
  while (!holds()) {
    assert.ok(performance.now() - started < 2_000, 'it did not happen within two seconds')
    await sleep(2)
  }
}

/** The fate of one call after the other. */
async function fates(simulator: Simulator, count: number): Promise<readonly (number | string)[]> {
  const heard: (number | string)[] = []
  for (let at = 0; at < count; at++) {
    const { status, endedBy } = await ask(simulator.url, { body: SAY_HELLO })
    heard.push(status === 0 ? endedBy : status)
  }
  return heard
}

test('everything that reaches it is written down', async () => {
  await using simulator = await start({ script: [{ every: 2, status: 503 }] })
  await ask(simulator.url, { body: SAY_HELLO, headers: { 'x-mark': 'first' } })
  await ask(simulator.url, { body: { ...SAY_HELLO, stream: true } })
  await ask(simulator.url, { method: 'GET', path: '/v1/models?limit=1' })
  const [first, second, third] = simulator.calls
  assert.ok(Math.abs(first!.at - Date.now()) < 5_000)
  assert.deepEqual([first!.method, first!.path, first!.model, first!.stream], ['POST', '/v1/chat/completions', 'gpt-4o', false])
  assert.deepEqual([first!.headers['x-mark'], first!.body], ['first', SAY_HELLO])
  assert.deepEqual([first!.rule, first!.ended, first!.tokensSent], [undefined, 'answered', 20])
  assert.deepEqual([second!.stream, second!.rule, second!.ended, second!.tokensSent], [true, 0, 'faulted', 0])
  assert.deepEqual([third!.path, third!.body, third!.ended], ['/v1/models?limit=1', undefined, 'answered'])
  assert.deepEqual(simulator.counts, { total: 3, answered: 2, faulted: 1, aborted: 0, open: 0, calls: 2 })
})

test('every call is told as it ends, with how it ended', async () => {
  const told: unknown[] = []
  const ended = ({ kind, model, ended, rule, headers }: SimulatedCall) =>
    told.push([kind, model, ended, rule, headers['x-attempt']])
  await using simulator = await startSimulator(
    config({
      token_delay: 20,
      script: [
        { calls: [2, 2], status: 503 },
        { calls: [3, 3], refuse: true },
      ],
    }),
    { ended },
  ).then(started => Object.assign(started, { [Symbol.asyncDispose]: () => started.close() }))
  for (const attempt of ['a', 'b', 'c']) await ask(simulator.url, { body: SAY_HELLO, headers: { 'x-attempt': attempt } })
  await ask(simulator.url, { method: 'GET', path: '/v1/models' })
  await ask(simulator.url, {
    body: { ...SAY_HELLO, stream: true },
    headers: { 'x-attempt': 'd' },
    leaveWhen: raw => raw.includes('"this "'),
  })
  await until(() => told.length === 5)
  assert.deepEqual(told, [
    ['call', 'gpt-4o', 'answered', undefined, 'a'],
    ['call', 'gpt-4o', 'faulted', 0, 'b'],
    ['refused', undefined, 'faulted', 1, undefined],
    ['inquiry', undefined, 'answered', undefined, undefined],
    ['call', 'gpt-4o', 'aborted', undefined, 'd'],
  ])
  assert.deepEqual([simulator.counts.total, simulator.counts.calls], [5, 3])
})

test('a share is left to chance', async () => {
  const lots = [0.1, 0.6, 0.4, 0.5]
  await using simulator = await start({ script: [{ share: 0.5, status: 503 }] }, () => lots.shift()!)
  assert.deepEqual(await fates(simulator, 4), [503, 200, 503, 200])
})

test('refused connections count as calls', async () => {
  await using simulator = await start({ script: [{ every: 2, refuse: true }] })
  assert.deepEqual(await fates(simulator, 5), [200, 'reset', 200, 'reset', 200])
})

test('a new script starts its counters and its clock again', async () => {
  await using simulator = await start({ script: [{ calls: [1, 1], status: 500 }] })
  assert.deepEqual(await fates(simulator, 2), [500, 200])
  simulator.script([{ calls: [1, 1], status: 502 }])
  assert.deepEqual(await fates(simulator, 2), [502, 200])
  simulator.script([
    { from: 60_000, status: 503 },
    { for: 60_000, status: 504 },
  ])
  assert.deepEqual(await fates(simulator, 1), [504])
  assert.equal(simulator.counts.total, 5)
})

test('rules for streams or for one model leave other calls alone', async () => {
  await using simulator = await start({
    speaks: 'anthropic',
    script: [
      { stream: true, status: 529 },
      { model: 'small', status: 500 },
    ],
  })
  const status = async (fields: object) =>
    (await ask(simulator.url, { path: MESSAGES, body: { ...SAY_HELLO_TO_CLAUDE, ...fields } })).status
  assert.deepEqual([await status({ stream: true }), await status({}), await status({ model: 'small' })], [529, 200, 500])
})

test('questions for the models are met by the faults of the whole provider', async () => {
  await using simulator = await start({ script: [{ every: 1, status: 500 }, { status: 503 }] })
  assert.equal((await ask(simulator.url, { method: 'GET', path: '/v1/models' })).status, 503)
  assert.equal((await ask(simulator.url, { body: SAY_HELLO })).status, 500)
})

test('while it is down nothing listens, and then it is back on the same port', async () => {
  await using simulator = await start()
  const held = connect(Number(new URL(simulator.url).port), '127.0.0.1')
  const reset = once(held, 'error')
  await once(held, 'connect')
  const { url } = simulator

  simulator.script([{ down: true, from: 30, for: 120 }])
  const seen: (number | string)[] = []
  while (seen.at(-1) !== 200 || !seen.includes('refused')) {
    seen.push(...(await fates(simulator, 1)))
    await sleep(5)
  }
  assert.equal(seen[0], 200)
  assert.deepEqual([...new Set(seen.slice(seen.indexOf('refused')))], ['refused', 200])
  assert.equal((await reset)[0].code, 'ECONNRESET')
  assert.equal(simulator.url, url)
})

test('a call that is under way when it goes down is cut, by its doing', async () => {
  await using simulator = await start({ token_delay: 50 })
  const call = ask(simulator.url, { body: { ...SAY_HELLO, stream: true } })
  await until(() => simulator.counts.open === 1)
  simulator.script([{ down: true }])
  assert.equal((await call).endedBy, 'reset')
  await until(() => simulator.counts.open === 0)
  assert.equal(simulator.counts.faulted, 1)
  assert.deepEqual(await fates(simulator, 1), ['refused'])
  simulator.script([])
  assert.deepEqual(await fates(simulator, 1), [200])
})

test('it waits for its port when somebody else has taken it meanwhile', async () => {
  await using simulator = await start()
  const listen = new URL(simulator.url).host
  simulator.script([{ down: true }])
  const other = await startSimulator(config({ listen }))
  simulator.script([])
  assert.equal((await ask(simulator.url, { body: SAY_HELLO })).status, 200)
  assert.deepEqual([simulator.counts.total, other.counts.total], [0, 1])
  await other.close()
  await sleep(60)
  assert.deepEqual(await fates(simulator, 1), [200])
  assert.equal(simulator.counts.total, 1)
})

test('a client that leaves ends its answer at once', async () => {
  await using simulator = await start({ token_delay: 20 })
  await ask(simulator.url, { body: { ...SAY_HELLO, stream: true }, leaveWhen: raw => raw.includes('"this "') })
  await until(() => simulator.counts.aborted === 1)
  const [call] = simulator.calls
  assert.equal(call!.ended, 'aborted')
  assert.ok(call!.tokensSent >= 2 && call!.tokensSent < 6, `${call!.tokensSent} tokens`)
  assert.equal(simulator.counts.open, 0)
})

test('a client that leaves in the middle of its call is one that left', async () => {
  await using simulator = await start()
  const socket = connect(Number(new URL(simulator.url).port), '127.0.0.1')
  socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"model":')
  await sleep(20)
  socket.resetAndDestroy()
  await until(() => simulator.counts.aborted === 1)
  assert.deepEqual(simulator.counts, { total: 1, answered: 0, faulted: 0, aborted: 1, open: 0, calls: 1 })
})

test('a slow reader holds a huge answer back', async () => {
  const huge = 64 * 1024 ** 2
  await using simulator = await start({ script: [{ huge }] })
  const socket = connect(Number(new URL(simulator.url).port), '127.0.0.1').pause()
  const body = JSON.stringify({ ...SAY_HELLO, stream: true })
  socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  await until(() => simulator.counts.open === 1)
  await sleep(100)
  const held = simulator.calls[0]!.tokensSent
  await sleep(50)
  assert.ok(held > 0 && held < huge / 1024 / 2, `${held} tokens`)
  assert.equal(simulator.calls[0]!.tokensSent, held)
  socket.destroy()
  await until(() => simulator.counts.aborted === 1)
})

test('connections are kept for further calls', async () => {
  await using simulator = await start()
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const reused: boolean[] = []
  for (let at = 0; at < 2; at++) {
    const call = request(`${simulator.url}/v1/chat/completions`, { method: 'POST', agent }).end(JSON.stringify(SAY_HELLO))
    const [answer] = await once(call, 'response')
    for await (const _ of answer);
    reused.push(call.reusedSocket)
  }
  agent.destroy()
  assert.deepEqual(reused, [false, true])
})

test('closing ends every connection and leaves nothing', async () => {
  const handles = () => process.getActiveResourcesInfo().filter(name => /^(TCP|Timeout)/.test(name)).length
  await until(() => handles() === 0)
  const simulator = await startSimulator(config({ token_delay: 10_000, script: [{ model: 'mute', never_answer: true }] }))
  const streamed = ask(simulator.url, { body: { ...SAY_HELLO, stream: true } })
  const silent = ask(simulator.url, { body: { ...SAY_HELLO, model: 'mute' } })
  await until(() => simulator.counts.open === 2)
  await simulator.close()
  assert.equal(simulator.counts.open, 0)
  assert.equal(simulator.counts.aborted, 2)
  assert.deepEqual([(await streamed).endedBy, (await silent).endedBy], ['reset', 'reset'])
  assert.deepEqual(await fates(simulator, 1), ['refused'])

  const down = await startSimulator(config({ script: [{ down: true, for: 60_000 }] }))
  await Promise.all([down.close(), down.close()])
  down.script([])
  await until(() => handles() === 0)
})

test('an address that cannot be had is an error', async () => {
  await using simulator = await start()
  await assert.rejects(startSimulator(config({ listen: new URL(simulator.url).host })), { code: 'EADDRINUSE' })
})
