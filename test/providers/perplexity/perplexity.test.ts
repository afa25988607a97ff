import assert from 'node:assert/strict'
import { test } from 'node:test'
import { perplexity } from '../../../src/providers/perplexity/perplexity.ts'
import { refusal, sent } from '../calls.ts'

const said = (role: string, content: string) => ({ role, content })

test('a conversation is brought into turns, its instructions first', () => {
  const messages = [
    said('user', 'a'),
    said('user', 'b'),
    said('developer', 'x'),
    said('assistant', 'c'),
    said('system', 'y'),
    said('user', 'd'),
  ]
  assert.deepEqual(sent(perplexity, 'sonar', { messages }).json.messages, [
    said('system', 'x\n\ny'),
    said('user', 'a\n\nb'),
    said('assistant', 'c'),
    said('user', 'd'),
  ])
})

test('a conversation that is in turns already stays as its bytes', () => {
  const messages = [said('system', 's'), said('user', 'a'), said('assistant', 'b'), said('user', 'c')]
  const { text } = sent(perplexity, 'sonar', { messages })
  assert.equal(text, JSON.stringify({ model: 'sonar', messages }))
})

test('turns of parts and of text are joined, none lost', () => {
  const image = { type: 'image_url', image_url: { url: 'data:x' } }
  assert.deepEqual(
    sent(perplexity, 'sonar', { messages: [{ role: 'user', content: [image] }, said('user', 'a')] }).json.messages,
    [{ role: 'user', content: [image, { type: 'text', text: 'a' }] }],
  )
})

for (const body of [
  { tools: [{ type: 'function', function: { name: 'f' } }] },
  { messages: [{ role: 'tool', tool_call_id: 'a', content: '1' }] },
  { n: 2 },
  { stop: 'x' },
  { logprobs: true },
  { response_format: { type: 'json_object' } },
]) {
  test(`it is refused: ${JSON.stringify(body)}`, () => assert.match(refusal(perplexity, 'sonar', body) ?? '', /cannot/))
}

test('a JSON schema is not, and what only tunes is left out', () => {
  const body = {
    response_format: { type: 'json_schema', json_schema: { schema: {} } },
    seed: 7,
    tools: [],
    n: 1,
    max_completion_tokens: 9,
  }
  assert.equal(refusal(perplexity, 'sonar', body), undefined)
  const { json, leftOut } = sent(perplexity, 'sonar', body)
  assert.deepEqual(Object.keys(json), ['model', 'messages', 'response_format', 'max_tokens'])
  assert.deepEqual(leftOut, ['seed'])
})
