/* Whoever says of himself that he speaks OpenAI's API: nothing is changed but the model's name. */
import { openAIFamily } from '../openai/openai.ts'

export const openaiCompatible = openAIFamily({ name: 'openai-compatible', finishMayBeMissing: true })
