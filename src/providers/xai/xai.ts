/*
 * xAI. Its reasoning models refuse fields that others tune with, and most refuse reasoning_effort. Errors are two sentences,
 * `{"code": "…", "error": "…"}`: a wrong key is a 400, no credit a 403 or a 429, and in streams they come as a 200.
 */
import { knownFrom, without } from '../kit/known-models.ts'
import { inability } from '../openai/abilities.ts'
import { openAIFamily } from '../openai/openai.ts'

const REASONS = /^grok-(?:[4-9]|\d{2,}|3-mini|code)/
const DOES_NOT_REASON = /non-reasoning/
/** Models whose effort is fixed. Newer ones than these are asked. */
const FIXED_EFFORT = /^grok-(?:2|3(?!-mini)|4$|4-(?:0709|latest|fast|1-fast)|4[.-]20|code)|non-reasoning/

const isReasoning = (model: string) => REASONS.test(model) && !DOES_NOT_REASON.test(model)

export const xai = openAIFamily({
  name: 'xai',
  baseUrl: 'https://api.x.ai/v1',
  pricedAs: 'x-ai',
  tracedAs: 'x_ai',
  abilities: knownFrom([[/^grok-(?:3|code|beta|2(?!-vision))/, without('vision')]]),
  reasoningBeside: true,
  cannot: ['audio output'],
  drops: (_, { model }) => [
    'logit_bias',
    ...(isReasoning(model) ? ['presence_penalty', 'frequency_penalty'] : []),
    ...(FIXED_EFFORT.test(model) ? ['reasoning_effort'] : []),
  ],
  refuses: ({ shape }, { model }) => (isReasoning(model) ? inability(shape, ['stop sequences']) : undefined),
  rules: [
    { message: /(?:incorrect|invalid|no) api key/i, fault: 'upstream-refused-key' },
    { code: /spending-limit/, fault: 'upstream-quota-exhausted' },
    { status: [402, 403, 429], message: /\bcredits?\b|spending limit/i, fault: 'upstream-quota-exhausted' },
    { status: 403, message: /usage guidelines|safety|content violates/i, fault: 'content-filtered' },
    { code: /service is currently unavailable/i, fault: 'upstream-overloaded' },
  ],
})
