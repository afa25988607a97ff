/* Moonshot's Kimi. Its errors say what they mean in words that are known everywhere; only its ranges are its own. */
import { knownFrom, OPEN_TEXT_ONLY, without } from '../kit/known-models.ts'
import { roleAs, thoughtsAs } from '../openai/messages.ts'
import { openAIFamily } from '../openai/openai.ts'

const HIGHEST_TEMPERATURE = 1

export const moonshot = openAIFamily({
  name: 'moonshot',
  baseUrl: 'https://api.moonshot.ai/v1',
  pricedAs: 'moonshotai',
  tracedAs: 'moonshot_ai',
  abilities: knownFrom([[/^moonshot-v1-(?!.*vision)/, without('vision')]], OPEN_TEXT_ONLY),
  cannot: ['log probabilities', 'audio output'],
  prefill: { answers: 'continued', message: { partial: true } },
  drops: ['logit_bias', 'seed', 'service_tier'],
  adjust: ({ shape: { temperature } }) =>
    typeof temperature === 'number' && temperature > HIGHEST_TEMPERATURE ? { temperature: HIGHEST_TEMPERATURE } : {},
  messages: [roleAs('developer', 'system'), thoughtsAs('reasoning_content', false)],
  rules: [{ code: /^rate_limit_reached_error$/, fault: 'upstream-rate-limited' }],
})
