/*
 * Qwen, in DashScope's compatible mode. `insufficient_quota` does not mean here what it means at OpenAI: it is the limit per minute, and
 * is over within one. Some models answer only as streams, and the open ones think only in streams.
 */

import type { ChatCall } from '../../core/chat.ts'
import { knownFrom, OPEN_TEXT_ONLY, without } from '../kit/known-models.ts'
import { BEGINS_ANEW, beginningOf } from '../kit/prefill.ts'
import { roleAs } from '../openai/messages.ts'
import { type Edits, openAIFamily } from '../openai/openai.ts'

const STREAMS_ONLY = /^(?:qwq|qvq)|-omni/
/** Beginnings are taken by models that do not think, or can be told not to. */
const ALWAYS_THINKS = /^(?:qwq|qvq)|thinking/
/** qwen3-32b, qwen3-235b-a22b; not qwen3-max, and not those that cannot stop thinking. */
const OPEN_AND_HYBRID = /^qwen3-\d+(?:\.\d+)?b(?!.*thinking)/

export const qwen = openAIFamily({
  name: 'qwen',
  baseUrl: 'https://dashscope-intl.aliyuncs.com/compatible-mode/v1',
  abilities: knownFrom([[/^(?:qwen-(?:max|turbo|long|math|coder)|qwq|qwen3-(?:max|coder))/, without('vision')]], OPEN_TEXT_ONLY),
  drops: ['frequency_penalty', 'logit_bias'],
  adjust,
  messages: [roleAs('developer', 'system')],
  prefill: { answers: 'continued', message: { partial: true }, call: { enable_thinking: false } },
  refuses: (call, { model }) => {
    if (!call.stream && STREAMS_ONLY.test(model)) return 'it answers only as a stream'
    return beginningOf(call) !== undefined && ALWAYS_THINKS.test(model) ? BEGINS_ANEW : undefined
  },
  rules: [
    { message: /free (?:tier|quota)|free allocated quota/i, fault: 'upstream-quota-exhausted' },
    { code: /FreeTierOnly/, fault: 'upstream-quota-exhausted' },
    { status: 429, code: /^insufficient_quota$/, fault: 'upstream-rate-limited' },
  ],
})

function adjust({ shape, stream }: ChatCall, { model }: { readonly model: string }): Edits {
  const { temperature, top_p: topP } = shape
  return {
    // Both ends are open here that are closed elsewhere.
    ...(typeof temperature === 'number' && temperature >= 2 ? { temperature: 1.99 } : {}),
    ...(topP === 0 ? { top_p: 0.01 } : {}),
    ...(!stream && shape.enable_thinking === undefined && OPEN_AND_HYBRID.test(model) ? { enable_thinking: false } : {}),
  }
}
