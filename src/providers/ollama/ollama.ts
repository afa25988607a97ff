/** Ollama's own chat API, translated from and to OpenAI's chat shape. */
import { z } from 'zod'
import type { Provider } from '../../core/provider.ts'
import { decode, decoder } from './decode.ts'
import { encode } from './encode.ts'
import { refuses } from './refuses.ts'
import { classify } from './rules.ts'

export const ollama: Provider = {
  name: 'ollama',
  baseUrl: 'http://localhost:11434',
  options: z.strictObject({}),
  dialect: undefined,
  prefill: 'continued',
  framing: 'ndjson',
  authorize: (key): Readonly<Record<string, string>> => (key === '' ? {} : { authorization: `Bearer ${key}` }),
  refuses,
  encode,
  decode,
  decoder,
  classify,
}
