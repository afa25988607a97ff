/*
 * Whoever says of himself that he speaks OpenAI's API: nothing is changed but the model's name. Most such servers go on from an assistant's
 * message at the end, without being told to.
 */
import { openAIFamily } from '../openai/openai.ts'

export const openaiCompatible = openAIFamily({
  name: 'openai-compatible',
  finishMayBeMissing: true,
  prefill: { answers: 'continued' },
})
