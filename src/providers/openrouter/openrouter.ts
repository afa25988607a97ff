/*
 * OpenRouter, a router of its own: what went wrong behind it stands in `error.metadata`. It answers 200 with nothing but an error, ends
 * streams with an error chunk, and repeats the finish reason beside the usage.
 */
import { openAIFamily } from '../openai/openai.ts'

export const openrouter = openAIFamily({
  name: 'openrouter',
  baseUrl: 'https://openrouter.ai/api/v1',
  cannot: ['more than one choice'],
  prefill: { answers: 'continued' },
  rules: [
    // Calls still running hold the budget; it comes back as they end.
    { status: 402, code: /in_flight_budget/, fault: 'upstream-rate-limited' },
    { status: 400, message: /is not a valid model id/i, fault: 'upstream-unknown-model' },
    { status: 403, message: /moderation|flagged/i, fault: 'content-filtered' },
    { type: /^refusal$/, fault: 'content-filtered' },
  ],
})
