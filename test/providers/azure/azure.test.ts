import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Target } from '../../../src/core/attempt.ts'
import { Fault } from '../../../src/core/fault.ts'
import { azure, azureWith } from '../../../src/providers/azure/azure.ts'
import { callOf, refusal, sent, targetOf } from '../calls.ts'
import { CUTS } from '../cuts.ts'
import { recordingsIn, see } from '../reading.ts'

const CALL = callOf('{"model":"route","messages":[{"role":"user","content":"hi"}],"stream":true}')

function at(basePath: string, query = '', model = 'my chat/1'): Target {
  return { ...targetOf(azure, model), basePath, query }
}

const pathOf = (basePath: string, query?: string) => azure.encode(CALL, at(basePath, query)).path

test('a resource alone is asked on its v1 surface', () => {
  assert.equal(pathOf(''), '/openai/v1/chat/completions')
  assert.equal(pathOf('/openai'), '/openai/v1/chat/completions')
  assert.equal(pathOf('/behind/a/gateway'), '/behind/a/gateway/openai/v1/chat/completions')
})

test('an address that ends in the surface is used as it is', () => {
  assert.equal(pathOf('/openai/v1'), '/openai/v1/chat/completions')
  assert.equal(pathOf('/openai/v1', '?api-version=preview'), '/openai/v1/chat/completions?api-version=preview')
  assert.equal(pathOf('/models'), '/models/chat/completions')
  assert.equal(pathOf('/models', '?api-version=2024-05-01-preview'), '/models/chat/completions?api-version=2024-05-01-preview')
  assert.equal(pathOf('/v1'), '/v1/chat/completions')
})

test('an api-version asks for the surface with the deployment in the path', () => {
  const legacy = '/openai/deployments/my%20chat%2F1/chat/completions?api-version=2024-10-21'
  assert.equal(pathOf('', '?api-version=2024-10-21'), legacy)
  assert.equal(pathOf('/openai', '?api-version=2024-10-21'), legacy)
})

test('Foundry’s inference is told to pass on what it does not know', () => {
  assert.deepEqual(azure.encode(CALL, at('/models')).headers, { 'extra-parameters': 'pass-through' })
  assert.equal(azure.encode(CALL, at('')).headers, undefined)
})

test('usage is asked for, but not of versions that refuse the question', () => {
  const body = (query: string) => JSON.parse(Buffer.from(azure.encode(CALL, at('', query)).body as Uint8Array).toString())
  for (const query of ['', '?api-version=2024-10-21', '?api-version=2024-09-01-preview', '?api-version=preview'])
    assert.deepEqual(body(query).stream_options, { include_usage: true }, query)
  assert.equal(body('?api-version=2024-02-01').stream_options, undefined)
})

test('a deployment that is called like a model gets what that model takes', () => {
  const messages = [{ role: 'system', content: 's' }]
  const { json, leftOut } = sent(azure, 'gpt-5-mini', { messages, max_tokens: 9, temperature: 0.2 })
  assert.deepEqual(json, { model: 'gpt-5-mini', messages: [{ role: 'developer', content: 's' }], max_completion_tokens: 9 })
  assert.deepEqual(leftOut, ['temperature'])
})

test('any other deployment gets the call as it came', () => {
  const body = { messages: [{ role: 'system', content: 's' }], max_tokens: 9, temperature: 0.2, n: 2, data_sources: [{}] }
  const { json, leftOut } = sent(azure, 'team-chat', body)
  assert.deepEqual(json, { model: 'team-chat', ...body })
  assert.deepEqual(leftOut, [])
  assert.equal(refusal(azure, 'team-chat', { ...body, logprobs: true }), undefined)
})

test('tool ids of other providers are shortened', () => {
  const id = `toolu_${'a'.repeat(40)}`
  const call = { id, type: 'function', function: { name: 'f', arguments: '{}' } }
  const messages = [
    { role: 'assistant', tool_calls: [call] },
    { role: 'tool', tool_call_id: id, content: '1' },
  ]
  const [assistant, tool] = sent(azure, 'x', { messages }).json.messages as [
    { tool_calls: [{ id: string }] },
    { tool_call_id: string },
  ]
  assert.match(tool.tool_call_id, /^call_\w{24}$/)
  assert.equal(assistant.tool_calls[0].id, tool.tool_call_id)
})

const APPLICATION = 'contoso.example:00000000-1111-2222-3333-444444444444:s3cret:with~colon'

test('a key of the resource is shown as one, an identity is not', () => {
  assert.deepEqual(azure.authorize('abc123', at('')), { 'api-key': 'abc123' })
  for (const key of ['', 'entra', APPLICATION]) assert.deepEqual(azure.authorize(key, at('')), {})
})

describe('an identity of Entra', () => {
  const withdrawn: string[] = []
  const provider = azureWith({
    of: async key => `token-of-${key}`,
    withdraw(key, text) {
      withdrawn.push(`${key} ${text}`)
      return true
    },
  })
  const request = provider.encode(CALL, at(''))

  test('is shown by a bearer token', async () => {
    assert.deepEqual(await provider.sign?.(request, at(''), 'entra'), { authorization: 'Bearer token-of-entra' })
    assert.deepEqual(await provider.sign?.(request, at(''), APPLICATION), { authorization: `Bearer token-of-${APPLICATION}` })
    assert.deepEqual(await provider.sign?.(request, at(''), 'abc123'), {})
  })

  test('gets a fresh token when the old one is refused, and only then', () => {
    const refused = new Fault('upstream-refused-key', { upstreamStatus: 401 })
    assert.equal(provider.renews?.('entra', { authorization: 'Bearer old' }, refused), true)
    assert.deepEqual(withdrawn, ['entra old'])
    assert.equal(provider.renews?.('abc123', {}, refused), false)
    const forbidden = new Fault('upstream-refused-key', { upstreamStatus: 403 })
    assert.equal(provider.renews?.('entra', { authorization: 'Bearer old' }, forbidden), false)
    assert.equal(withdrawn.length, 1)
  })
})

const folder = process.env.RECORDINGS
describe('recorded streams of Azure', { skip: folder === undefined && 'RECORDINGS names no folder' }, () => {
  if (folder === undefined) return
  for (const recording of recordingsIn(join(folder, 'azure'))) {
    if (recording.api !== 'openai.chat' || !recording.stream || recording.response.status !== 200) continue
    test(`${recording.file} says the same however it is cut`, () => {
      const whole = see(azure, recording)
      assert.equal(whole.fault, undefined)
      for (const [manner, cut] of CUTS) assert.deepEqual(see(azure, recording, cut), whole, manner)
    })
  }
})
