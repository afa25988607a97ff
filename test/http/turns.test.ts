/* In which order and in which round calls are begun. Rounds are those of the real event loop, the time that passes in them is held by hand. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as roundOver } from 'node:timers/promises'
import { systemClock } from '../../src/core/clock.ts'
import { turns } from '../../src/http/turns.ts'
import { HELLO, running, until } from '../support/running.ts'
import { post, rawClient } from './raw.ts'

/** Calls by names; each takes so long to begin as it is told. */
function heldTurns() {
  let ticks = 1_000
  const one = turns({ ...systemClock, ticks: () => ticks })
  const begun: string[] = []
  return {
    begun,
    waitedMs: one.waitedMs,
    count: one.begun,
    wait(ms: number) {
      ticks += ms
    },
    take(name: string, ms = 0) {
      one.take(() => {
        begun.push(name)
        ticks += ms
      })
    },
  }
}

test('a round begins calls at once until a millisecond of it has been spent on them', async () => {
  const line = heldTurns()
  line.take('a', 0.5)
  line.take('b', 0.4)
  line.take('c', 0.2)
  line.take('d')
  assert.deepEqual(line.begun, ['a', 'b', 'c'])
  await roundOver()
  assert.deepEqual(line.begun, ['a', 'b', 'c', 'd'])
})

test('the rounds after it begin those that wait, a millisecond of them in each, in the order in which they came', async () => {
  const line = heldTurns()
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) line.take(name, name === 'a' ? 1 : 0.5)
  const rounds: string[] = []
  for (let before = -1; before !== line.begun.length; ) {
    before = line.begun.length
    rounds.push(line.begun.join(''))
    await roundOver()
  }
  assert.deepEqual(rounds, ['a', 'abc', 'abcde', 'abcdef'])
})

test('who comes while others wait is the last of them, even in a round that has begun none yet', async () => {
  const line = heldTurns()
  for (const name of ['a', 'b', 'c']) line.take(name, 1)
  await roundOver()
  assert.deepEqual(line.begun, ['a', 'b'])
  line.take('d')
  assert.deepEqual(line.begun, ['a', 'b'])
  await roundOver()
  await roundOver()
  assert.deepEqual(line.begun, ['a', 'b', 'c', 'd'])
})

test('each round has a millisecond of its own', async () => {
  const line = heldTurns()
  line.take('a', 5)
  await roundOver()
  line.take('b')
  assert.deepEqual(line.begun, ['a', 'b'])
})

test('it is told for how long the next one has waited', async () => {
  const line = heldTurns()
  assert.equal(line.waitedMs(), 0)
  line.take('a', 1)
  assert.equal(line.waitedMs(), 0)
  line.take('b', 1)
  line.wait(2)
  line.take('c')
  line.wait(3)
  assert.equal(line.waitedMs(), 5)
  await roundOver()
  assert.deepEqual(line.begun, ['a', 'b'])
  assert.equal(line.waitedMs(), 4, 'of the third call, to which the second is the millisecond more')
  await roundOver()
  assert.equal(line.waitedMs(), 0)
})

test('thousands that come in one moment are all begun, each once', async () => {
  const line = heldTurns()
  const names = Array.from({ length: 5_000 }, (_, at) => String(at))
  for (const name of names) line.take(name, 0.25)
  await until('all are begun', () => line.begun.length >= names.length)
  assert.deepEqual(line.begun, names)
  assert.equal(line.count(), names.length)
})

test('a client that leaves before its turn is told as one, and nobody is asked for it', async () => {
  let begin: () => void = () => assert.fail('there is no call')
  let waiting = 0
  const gateway = await running(
    'simulators: [{ name: a }]\nproviders: { a: { type: openai-compatible, base_url: "simulator:a/v1" } }\nroutes: { r: [a/m] }',
    {
      turns: {
        take(one) {
          begin = one
          waiting++
        },
        waitedMs: () => 0,
        begun: () => 0,
      },
    },
  )
  try {
    const client = await rawClient(gateway.url, post(JSON.stringify({ model: 'r', messages: HELLO })))
    await until('it waits for its turn', () => waiting === 1)
    client.socket.destroy()
    await until('it has left', () => gateway.server.active() === 0)
    begin()
    await until('it is written down', () => gateway.logs().some(({ msg }) => msg === 'call'))
    const { status, ending } = gateway.logs().find(({ msg }) => msg === 'call')!
    assert.deepEqual([status, ending], [499, 'abandoned'])
    assert.equal(gateway.simulators.get('a')!.counts.total, 0)
  } finally {
    await gateway.close()
  }
})
