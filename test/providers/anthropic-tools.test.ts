import { describe } from 'node:test'
import { check, EPHEMERAL, fn, SCHEMA, TIDE, TIDE_SENT } from './anthropic-calls.ts'

describe('tools for Anthropic', () => {
  const both = { tools: [TIDE, fn('boats')] }
  const bothSent = [TIDE_SENT, { name: 'boats', input_schema: SCHEMA }]
  const STRICT_SENT = { ...SCHEMA, additionalProperties: false }
  const recursive = { type: 'object', properties: { next: { $ref: '#' } } }
  check([
    {
      title: 'a function with a description, one without parameters, one with a schema that has no type',
      call: {
        tools: [
          fn('a', { description: 'Does a.' }),
          { type: 'function', function: { name: 'b' } },
          { type: 'function', function: { name: 'c', description: '', parameters: { properties: {} } } },
        ],
      },
      sent: {
        tools: [
          { name: 'a', description: 'Does a.', input_schema: SCHEMA },
          { name: 'b', input_schema: { type: 'object', properties: {} } },
          { name: 'c', input_schema: { properties: {}, type: 'object' } },
        ],
      },
    },
    {
      title: 'strict functions are strict, save where the compiler could not take the schema',
      call: { tools: [fn('a', { strict: true }), fn('b', { strict: false }), fn('c', { strict: true, parameters: recursive })] },
      sent: {
        tools: [
          { name: 'a', input_schema: STRICT_SENT, strict: true },
          { name: 'b', input_schema: SCHEMA },
          { name: 'c', input_schema: recursive },
        ],
      },
    },
    {
      title: 'strict functions are plain ones on models that know no strictness',
      call: { tools: [fn('a', { strict: true })] },
      model: 'claude-sonnet-4-20250514',
      sent: { tools: [{ name: 'a', input_schema: SCHEMA }] },
    },
    {
      title: "cache breakpoints on tools, and Anthropic's own tools, are passed on",
      call: {
        tools: [{ ...TIDE, ...EPHEMERAL }, fn('b', EPHEMERAL), { type: 'web_search_20250305', name: 'web_search', max_uses: 3 }],
      },
      sent: {
        tools: [
          { ...TIDE_SENT, ...EPHEMERAL },
          { name: 'b', input_schema: SCHEMA, ...EPHEMERAL },
          { type: 'web_search_20250305', name: 'web_search', max_uses: 3 },
        ],
      },
    },
    { title: 'no choice', call: { ...both, parallel_tool_calls: true }, sent: { tools: bothSent } },
    {
      title: 'the choice none',
      call: { ...both, tool_choice: 'none', parallel_tool_calls: false },
      sent: { tools: bothSent, tool_choice: { type: 'none' } },
    },
    {
      title: 'the choice auto',
      call: { ...both, tool_choice: 'auto' },
      sent: { tools: bothSent, tool_choice: { type: 'auto' } },
    },
    {
      title: 'the choice required',
      call: { ...both, tool_choice: 'required' },
      sent: { tools: bothSent, tool_choice: { type: 'any' } },
    },
    {
      title: 'the choice of one function',
      call: { ...both, tool_choice: { type: 'function', function: { name: 'boats' } } },
      sent: { tools: bothSent, tool_choice: { type: 'tool', name: 'boats' } },
    },
    {
      title: 'the choice among allowed tools',
      call: {
        ...both,
        tool_choice: {
          type: 'allowed_tools',
          allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'tide' } }] },
        },
      },
      sent: { tools: [TIDE_SENT], tool_choice: { type: 'any' } },
    },
    { title: 'a choice without tools is no choice', call: { tool_choice: 'auto', parallel_tool_calls: false }, sent: {} },
    {
      title: 'one call at a time, without a choice',
      call: { ...both, parallel_tool_calls: false },
      sent: { tools: bothSent, tool_choice: { type: 'auto', disable_parallel_tool_use: true } },
    },
    {
      title: 'one call at a time, with a choice',
      call: { ...both, parallel_tool_calls: false, tool_choice: 'required' },
      sent: { tools: bothSent, tool_choice: { type: 'any', disable_parallel_tool_use: true } },
    },
  ])
})
