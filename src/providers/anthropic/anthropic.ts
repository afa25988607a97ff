/** Anthropic's Messages API, translated from and to OpenAI's chat shape. */
import { z } from 'zod'
import type { Provider } from '../../core/provider.ts'
import { abilities } from './abilities.ts'
import { decode } from './decode.ts'
import { decoder } from './decoder.ts'
import { encode } from './encode.ts'
import { refuses } from './refuses.ts'
import { classify } from './rules.ts'

const VERSION = '2023-06-01'
/** Tokens of an account, in place of the keys of a workspace. */
const ACCOUNT_TOKEN = /^sk-ant-oat/

export const anthropic: Provider = {
  name: 'anthropic',
  baseUrl: 'https://api.anthropic.com',
  options: z.strictObject({}),
  dialect: undefined,
  abilities,
  prefill: 'continued',
  framing: 'sse',
  authorize(key) {
    const shown = ACCOUNT_TOKEN.test(key) ? { authorization: `Bearer ${key}` } : { 'x-api-key': key }
    return { ...shown, 'anthropic-version': VERSION }
  },
  refuses,
  encode,
  decode,
  decoder,
  classify,
}
