import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatMessage } from '../../../src/core/chat.ts'
import { exactToolId, madeToolId, renameToolIds, shortToolId } from '../../../src/providers/kit/tool-ids.ts'

test('an id within the limit stays as it is', () => {
  assert.equal(shortToolId('call_abc', 40), 'call_abc')
  assert.equal(exactToolId('aB3dE6gH9', 9), 'aB3dE6gH9')
})

test('an id that is too long always becomes the same short one', () => {
  const long = `toolu_${'x'.repeat(60)}`
  assert.match(shortToolId(long, 40), /^call_[0-9A-Za-z]{24}$/)
  assert.equal(shortToolId(long, 40), shortToolId(long, 40))
  assert.notEqual(shortToolId(long, 40), shortToolId(`${long}y`, 40))
})

test('an id of the wrong form becomes one of exactly the right length', () => {
  const ids = ['call_1', 'call_2', 'a-b_c-d_e', ''].map(id => exactToolId(id, 9))
  for (const id of ids) assert.match(id, /^[0-9A-Za-z]{9}$/)
  assert.equal(new Set(ids).size, ids.length)
})

test('made ids differ by what they are made of', () => {
  assert.equal(madeToolId('chatcmpl-1', 0, 1, 'f'), madeToolId('chatcmpl-1', 0, 1, 'f'))
  assert.notEqual(madeToolId('a', 'bc'), madeToolId('ab', 'c'))
})

test('calls and their results keep matching after renaming', () => {
  const messages: ChatMessage[] = [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: null, tool_calls: [{ id: 'one', type: 'function', function: { name: 'f', arguments: '{}' } }] },
    { role: 'tool', tool_call_id: 'one', content: '1' },
  ]
  const renamed = renameToolIds(messages, id => `${id}!`)
  assert.equal(renamed[0], messages[0])
  assert.equal(renamed[1]?.tool_calls?.[0]?.id, 'one!')
  assert.equal(renamed[2]?.tool_call_id, 'one!')
  assert.equal(messages[2]?.tool_call_id, 'one')
})

test('a conversation whose ids are fine is the very same array', () => {
  const messages: ChatMessage[] = [{ role: 'tool', tool_call_id: 'one', content: '1' }]
  assert.equal(
    renameToolIds(messages, id => id),
    messages,
  )
})
