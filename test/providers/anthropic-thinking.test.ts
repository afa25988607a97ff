import { describe } from 'node:test'
import { ASK, ASKED, assistant, calls, check, type Fields, TIDE, TIDE_SENT, text, user } from './anthropic-calls.ts'

describe('thinking for Anthropic', () => {
  const SN6 = 'claude-sonnet-4-6'
  const NEW = 'claude-opus-4-8'
  const UNASKED = 'claude-sonnet-5'
  const long = { max_tokens: 128_000 }
  const loop = [...ASK, { role: 'assistant', tool_calls: [calls('a')] }, { role: 'tool', tool_call_id: 'a', content: 'ok' }]
  const loopSent = (...thinking: readonly Fields[]) => [
    ...ASKED,
    assistant(...thinking, { type: 'tool_use', id: 'a', name: 'tide', input: { city: 'Aber' } }),
    user({ type: 'tool_result', tool_use_id: 'a', content: 'ok' }),
  ]
  const adaptive = { type: 'adaptive' }
  const shown = { type: 'adaptive', display: 'summarized' }
  const budget = (budget_tokens: number) => ({ thinking: { type: 'enabled', budget_tokens } })
  check([
    {
      title: 'an effort where the model is adaptive',
      call: { reasoning_effort: 'medium' },
      model: SN6,
      sent: { ...long, thinking: adaptive, output_config: { effort: 'medium' } },
    },
    {
      title: 'the least effort is low',
      call: { reasoning_effort: 'minimal' },
      model: SN6,
      sent: { ...long, thinking: adaptive, output_config: { effort: 'low' } },
    },
    {
      title: 'xhigh is max where it is unknown',
      call: { reasoning_effort: 'xhigh' },
      model: SN6,
      sent: { ...long, thinking: adaptive, output_config: { effort: 'max' } },
    },
    {
      title: 'xhigh where it is known, and the text of the thinking with it',
      call: { reasoning_effort: 'xhigh' },
      model: NEW,
      sent: { ...long, thinking: shown, output_config: { effort: 'xhigh' } },
    },
    { title: 'none', call: { reasoning_effort: 'none' }, model: SN6, sent: long },
    {
      title: 'none where the model thinks unasked',
      call: { reasoning_effort: 'none' },
      model: UNASKED,
      sent: { ...long, thinking: { type: 'disabled' } },
    },
    {
      title: 'an effort that nobody knows',
      call: { reasoning_effort: 'heroic' },
      model: SN6,
      sent: long,
      leftOut: ['reasoning_effort'],
    },
    { title: 'a budget in place of the least effort', call: { reasoning_effort: 'minimal' }, sent: budget(1_024) },
    { title: 'a budget in place of a low effort', call: { reasoning_effort: 'low' }, sent: budget(2_048) },
    { title: 'a budget in place of a medium effort', call: { reasoning_effort: 'medium' }, sent: budget(19_200) },
    { title: 'a budget in place of a high effort', call: { reasoning_effort: 'high' }, sent: budget(38_400) },
    {
      title: 'a budget within the bound that was given',
      call: { reasoning_effort: 'high', max_tokens: 6_000 },
      sent: { max_tokens: 6_000, ...budget(3_000) },
    },
    {
      title: 'no thinking where the bound leaves no room',
      call: { reasoning_effort: 'high', max_tokens: 2_000 },
      sent: { max_tokens: 2_000 },
      leftOut: ['reasoning_effort'],
    },
    {
      title: 'no thinking where the model cannot',
      call: { reasoning_effort: 'high' },
      model: 'claude-3-5-haiku-latest',
      sent: { max_tokens: 8_192 },
      leftOut: ['reasoning_effort'],
    },
    {
      title: 'no thinking on a budget while the model goes on from words of its own',
      call: { reasoning_effort: 'high', messages: [...ASK, { role: 'assistant', content: 'It is' }] },
      sent: { messages: [...ASKED, assistant(text('It is'))] },
      leftOut: ['reasoning_effort'],
    },
    {
      title: "Anthropic's own field is passed on",
      call: { thinking: { type: 'enabled', budget_tokens: 5_000 } },
      sent: budget(5_000),
    },
    {
      title: "Anthropic's own field that turns it off",
      call: { thinking: { type: 'disabled' }, reasoning_effort: 'max' },
      model: NEW,
      sent: { ...long, thinking: { type: 'disabled' }, output_config: { effort: 'high' } },
    },
    {
      title: 'no thinking while a tool is forced',
      call: { reasoning_effort: 'high', tools: [TIDE], tool_choice: 'required' },
      sent: { tools: [TIDE_SENT], tool_choice: { type: 'any' } },
      leftOut: ['reasoning_effort'],
    },
    {
      title: "none of the client's own either",
      call: { thinking: { type: 'enabled', budget_tokens: 5_000 }, tools: [TIDE], tool_choice: 'required' },
      sent: { tools: [TIDE_SENT], tool_choice: { type: 'any' } },
      leftOut: ['thinking'],
    },
    {
      title: 'a model that thinks unasked is told not to while a tool is forced',
      call: { tools: [TIDE], tool_choice: 'required' },
      model: UNASKED,
      sent: { ...long, tools: [TIDE_SENT], tool_choice: { type: 'any' }, thinking: { type: 'disabled' } },
    },
    {
      title: 'a great effort is a high one while a tool is forced',
      call: { reasoning_effort: 'xhigh', tools: [TIDE], tool_choice: 'required' },
      model: UNASKED,
      sent: {
        ...long,
        tools: [TIDE_SENT],
        tool_choice: { type: 'any' },
        thinking: { type: 'disabled' },
        output_config: { effort: 'high' },
      },
    },
    {
      title: 'none within a tool loop that has none, on a budget',
      call: { reasoning_effort: 'low', tools: [TIDE], messages: loop },
      sent: { tools: [TIDE_SENT], messages: loopSent() },
      leftOut: ['reasoning_effort'],
    },
    {
      title: 'some after a tool loop that has none',
      call: { reasoning_effort: 'low', tools: [TIDE], messages: [...loop, { role: 'assistant', content: 'High.' }, ...ASK] },
      sent: { tools: [TIDE_SENT], messages: [...loopSent(), assistant(text('High.')), ...ASKED], ...budget(2_048) },
    },
    {
      title: 'some within a tool loop that has none, where the model is adaptive',
      call: { reasoning_effort: 'low', tools: [TIDE], messages: loop },
      model: SN6,
      sent: { ...long, tools: [TIDE_SENT], messages: loopSent(), thinking: adaptive, output_config: { effort: 'low' } },
    },
    {
      title: "earlier thinking comes back before the calls, signed and sealed, and nobody else's",
      call: {
        reasoning_effort: 'low',
        tools: [TIDE],
        messages: [
          loop[0],
          {
            ...loop[1],
            reasoning_content: 'Hm.',
            reasoning_details: [
              { type: 'reasoning.text', text: 'Hm.', signature: 'c2ln' },
              { type: 'reasoning.text', text: 'Unsigned.' },
              { type: 'reasoning.encrypted', data: 'c2VhbGVk', format: 'anthropic-claude-v1' },
              { type: 'reasoning.encrypted', data: 'b3RoZXI=', format: 'openai-responses-v1' },
              { type: 'thinking', thinking: 'Ah.', signature: 'c2lnMg==' },
              null,
            ],
          },
          loop[2],
        ],
      },
      sent: {
        tools: [TIDE_SENT],
        messages: loopSent(
          { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' },
          { type: 'redacted_thinking', data: 'c2VhbGVk' },
          { type: 'thinking', thinking: 'Ah.', signature: 'c2lnMg==' },
        ),
        ...budget(2_048),
      },
    },
    {
      title: 'earlier thinking with its signature beside it',
      call: {
        reasoning_effort: 'low',
        tools: [TIDE],
        messages: [loop[0], { ...loop[1], reasoning_content: 'Hm.', signature: 'c2ln' }, loop[2]],
      },
      sent: {
        tools: [TIDE_SENT],
        messages: loopSent({ type: 'thinking', thinking: 'Hm.', signature: 'c2ln' }),
        ...budget(2_048),
      },
    },
    {
      title: 'earlier thinking stays behind when the model is not to think',
      call: { tools: [TIDE], messages: [loop[0], { ...loop[1], reasoning_content: 'Hm.', signature: 'c2ln' }, loop[2]] },
      sent: { tools: [TIDE_SENT], messages: loopSent() },
    },
  ])
})
