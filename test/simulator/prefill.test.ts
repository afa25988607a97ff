/* Answers that have begun: what each provider sends of them, and what the simulator of its wire makes of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SimulatorConfig, SPOKEN } from '../../src/config/simulation.ts'
import type { Target } from '../../src/core/attempt.ts'
import type { ChatEvent } from '../../src/core/chat.ts'
import { providers } from '../../src/providers/registry.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { callOf, targetOf } from '../providers/calls.ts'
import { ask, callTo, config } from './raw-client.ts'

const ANSWER = 'One two three, four  five.\nSix — sieben, 八.'

/** The text of the answer that this provider gets to a call whose answer has begun so. */
async function continued(name: string, model: string, said: string, stream: boolean, about: Partial<SimulatorConfig>) {
  const simulator = await startSimulator(config({ answer: ANSWER, ...about }))
  const provider = providers.get(name)!
  const target: Target = targetOf(provider, model)
  const body = { model: 'route', stream, messages: [{ role: 'user', content: 'Count.' }] }
  const call = { ...callOf(JSON.stringify(body)), prefill: said }
  assert.equal(provider.refuses(call, target), undefined)
  const { path, body: sent } = provider.encode(call, target)
  const heard = await ask(simulator.url, { path, body: Buffer.from(sent as Uint8Array).toString() })
  await simulator.close()
  if (heard.status !== 200) return heard
  const decoder = provider.decoder()
  const events: ChatEvent[] = []
  if (stream) {
    for (const frame of heard.body.split(/\r?\n\r?\n/).filter(text => text !== '')) {
      const decoded = decoder.push({ event: /^event: (.*)$/m.exec(frame)?.[1], data: /^data: (.*)$/m.exec(frame)![1]! })
      if (decoded !== 'done') events.push(...(decoded as readonly ChatEvent[]))
    }
    events.push(...decoder.end())
  } else events.push(...provider.decode(JSON.parse(heard.body)))
  return events.map(event => (event.type === 'text-delta' ? event.text : '')).join('')
}

const ALL = [
  ['openai-compatible', 'any', 'openai'],
  ['deepseek', 'deepseek-chat', 'openai'],
  ['groq', 'llama-3.3-70b-versatile', 'openai'],
  ['mistral', 'mistral-large-latest', 'openai'],
  ['moonshot', 'kimi-k2.6', 'openai'],
  ['openrouter', 'anthropic/claude-sonnet-4.5', 'openai'],
  ['qwen', 'qwen3-max', 'openai'],
  ['vllm', 'any', 'openai'],
  ['anthropic', 'claude-sonnet-4-5', 'anthropic'],
  ['gemini', 'gemini-2.5-flash', 'gemini'],
] as const

for (const [name, model, speaks] of ALL) {
  test(`${name} goes on where the client is, on the wire of ${speaks}`, async () => {
    for (const stream of [true, false]) {
      for (const said of ['One', 'One two thr', 'One two three, four  five.\nSix —']) {
        assert.equal(said + (await continued(name, model, said, stream, { speaks })), ANSWER)
        assert.equal(await continued(name, model, said, stream, { speaks, prefill: 'echo' }), ANSWER)
      }
      assert.equal(await continued(name, model, 'Something else', stream, { speaks }), ANSWER, 'it says what it has to say')
    }
  })
}

test('a simulator may refuse to go on, and answers what has not begun', async () => {
  for (const [name, model, speaks] of ALL) {
    const refused = await continued(name, model, 'One', true, { speaks, prefill: 'refuse' })
    assert.ok(typeof refused !== 'string' && refused.status === 400, name)
  }
  for (const speaks of SPOKEN) {
    const simulator = await startSimulator(config({ speaks, prefill: 'refuse' }))
    assert.equal((await ask(simulator.url, callTo(speaks, false))).status, 200)
    await simulator.close()
  }
})

test('white space at the end of a beginning is refused as Anthropic refuses it', async () => {
  const simulator = await startSimulator(config({ speaks: 'anthropic' }))
  const { path, body } = callTo('anthropic', false)
  const messages = [
    { role: 'user', content: 'x' },
    { role: 'assistant', content: 'One ' },
  ]
  const heard = await ask(simulator.url, { path, body: { ...body, messages } })
  assert.deepEqual(
    [heard.status, JSON.parse(heard.body).error.message],
    [400, 'messages: final assistant content cannot end with trailing whitespace'],
  )
  await simulator.close()
})

test('an answer that has begun calls no tools', async () => {
  const simulator = await startSimulator(config({ answer: ANSWER }))
  const tools = [{ type: 'function', function: { name: 'f' } }]
  const messages = [
    { role: 'user', content: 'x' },
    { role: 'assistant', content: 'One' },
  ]
  const heard = await ask(simulator.url, { body: { model: 'm', tools, messages } })
  assert.equal(JSON.parse(heard.body).choices[0].message.content, ANSWER.slice('One'.length))
  await simulator.close()
})
