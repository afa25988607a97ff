import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatBody } from '../../../src/core/chat.ts'
import { readToolChoice, type ToolChoice, toolsOfHistory } from '../../../src/providers/kit/tool-choice.ts'

test('tool_choice is read in every form that it has', () => {
  const allowed = (mode: unknown, ...tools: readonly unknown[]) => ({ type: 'allowed_tools', allowed_tools: { mode, tools } })
  const f = { type: 'function', function: { name: 'f' } }
  const rows: readonly (readonly [unknown, ToolChoice])[] = [
    [undefined, { mode: undefined }],
    [null, { mode: undefined }],
    ['auto', { mode: 'auto' }],
    ['none', { mode: 'none' }],
    ['required', { mode: 'required' }],
    ['whatever', { mode: undefined }],
    [f, { mode: 'required', name: 'f' }],
    [{ type: 'function' }, { mode: undefined }],
    [{ type: 'custom', custom: { name: 'c' } }, { mode: undefined }],
    [allowed('required', f), { mode: 'required', allowed: new Set(['f']) }],
    [allowed(undefined, f, null, { function: { name: 7 } }), { mode: 'auto', allowed: new Set(['f']) }],
    [{ type: 'allowed_tools' }, { mode: 'auto', allowed: new Set() }],
  ]
  for (const [choice, read] of rows) {
    assert.deepEqual(readToolChoice(choice as ChatBody['tool_choice']), read, JSON.stringify(choice))
  }
})

test('the tools of a conversation are those that were called in it, each once', () => {
  const call = (name: unknown) => ({ id: 'x', function: { name, arguments: '' } })
  const messages = [
    { role: 'user', content: 'x' },
    { role: 'assistant', tool_calls: [call('a'), call('b'), null, {}, call(7)] },
    { role: 'assistant', tool_calls: [call('a')] },
    { role: 'assistant', tool_calls: 'none' },
  ]
  assert.deepEqual(toolsOfHistory(messages as unknown as ChatBody['messages']), ['a', 'b'])
  assert.deepEqual(toolsOfHistory([]), [])
})
