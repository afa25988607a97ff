import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatCall } from '../../src/core/chat.ts'
import { chat } from '../../src/dialects/chat/chat.ts'
import { estimatedAnswerTokens, estimatedInputTokens, estimatedTokens } from '../../src/usage/estimate.ts'

function call(more: object = {}, text = 'Hello'): ChatCall {
  return chat.parse(Buffer.from(JSON.stringify({ model: 'm', messages: [{ role: 'user', content: text }], ...more })))
}

test('input is a token for every four bytes of the call, begun ones included', () => {
  const bytes = call().source.bytes.length
  assert.equal(estimatedInputTokens(call()), Math.ceil(bytes / 4))
  assert.equal(estimatedInputTokens(call({}, `Hello${'x'.repeat(4_000)}`)), Math.ceil(bytes / 4) + 1_000)
})

test('an image, a file or a recording counts as one, whatever its bytes', () => {
  const withPart = (part: object) =>
    chat.parse(
      Buffer.from(JSON.stringify({ model: 'm', messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }, part] }] })),
    )
  const image = (bytes: number) =>
    withPart({ type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(bytes)}` } })
  const sound = withPart({ type: 'input_audio', input_audio: { format: 'wav', data: 'A'.repeat(5_000_000) } })
  assert.equal(estimatedInputTokens(image(5_000_000)), estimatedInputTokens(image(100)))
  assert.ok(estimatedInputTokens(image(5_000_000)) > 1_000)
  assert.ok(estimatedInputTokens(sound) < 1_200)
})

test('to the input comes the longest answer that the call allows, as often as it asks for one', () => {
  const input = (more: object) => estimatedInputTokens(call(more))
  const answer = (more: object) => estimatedTokens(call(more)) - input(more)
  assert.equal(answer({}), 0)
  assert.equal(answer({ max_tokens: 100 }), 100)
  assert.equal(answer({ max_completion_tokens: 200, max_tokens: 100 }), 200)
  assert.equal(answer({ max_tokens: 100, n: 3 }), 300)
  assert.equal(answer({ max_tokens: null, n: null }), 0)
})

test('for comparing prices, an answer that is not limited has a typical length', () => {
  assert.equal(estimatedAnswerTokens(call()), 500)
  assert.equal(estimatedAnswerTokens(call({ n: 2 })), 1_000)
  assert.equal(estimatedAnswerTokens(call({ max_tokens: 100, n: 3 })), 300)
})
