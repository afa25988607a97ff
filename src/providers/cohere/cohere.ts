/** Cohere's chat API, version 2, translated from and to OpenAI's chat shape. */
import { z } from 'zod'
import type { Provider } from '../../core/provider.ts'
import { abilities } from './abilities.ts'
import { decode } from './decode.ts'
import { decoder } from './decoder.ts'
import { encode } from './encode.ts'
import { refuses } from './refuses.ts'
import { classify } from './rules.ts'

export const cohere: Provider = {
  name: 'cohere',
  baseUrl: 'https://api.cohere.com',
  options: z.strictObject({}),
  dialect: undefined,
  abilities,
  framing: 'sse',
  authorize: (key): Readonly<Record<string, string>> => (key === '' ? {} : { authorization: `Bearer ${key}` }),
  refuses,
  encode,
  decode,
  decoder,
  classify,
}
