/** Amazon Bedrock's Converse API, translated from and to OpenAI's chat shape. */
import { z } from 'zod'
import type { Provider } from '../../core/provider.ts'
import { abilities } from './abilities.ts'
import { decode } from './decode.ts'
import { decoder } from './decoder.ts'
import { encode } from './encode.ts'
import { refuses } from './refuses.ts'
import { classify } from './rules.ts'
import { authorize, signing } from './sign.ts'

export const bedrock: Provider = {
  name: 'bedrock',
  baseUrl: 'https://bedrock-runtime.us-east-1.amazonaws.com',
  options: z.strictObject({}),
  dialect: undefined,
  pricedAs: 'aws',
  tracedAs: 'aws.bedrock',
  abilities,
  prefill: 'continued',
  framing: 'aws-events',
  authorize,
  refuses,
  encode,
  decode,
  decoder,
  classify,
  ...signing(),
}
