/* Z.ai's GLM. A model calls tools as it likes, or none: no other tool_choice is taken. Its errors are numbers. */
import { knownFrom, without } from '../kit/known-models.ts'
import { roleAs, thoughtsAs } from '../openai/messages.ts'
import { openAIFamily } from '../openai/openai.ts'

export const zai = openAIFamily({
  name: 'zai',
  baseUrl: 'https://api.z.ai/api/paas/v4',
  abilities: knownFrom([[/^glm-4[.][567](?!v)/, without('vision', 'json_schema')]]),
  cannot: ['more than one choice', 'log probabilities', 'a JSON schema', 'audio output'],
  drops: ['presence_penalty', 'frequency_penalty', 'logit_bias', 'seed', 'parallel_tool_calls', 'service_tier'],
  renames: { max_completion_tokens: 'max_tokens' },
  refuses: ({ shape: { tool_choice: choice } }) =>
    (choice ?? 'auto') === 'auto' ? undefined : 'it cannot be told whether to call a tool',
  messages: [roleAs('developer', 'system'), thoughtsAs('reasoning_content', false)],
  rules: [
    { code: /^(?:1113|1304|1308|1309|1310)$/, fault: 'upstream-quota-exhausted' },
    { code: /^(?:1302|1303|1313)$/, fault: 'upstream-rate-limited' },
    { code: /^(?:1305|1312)$/, fault: 'upstream-overloaded' },
    { code: /^1301$/, fault: 'content-filtered' },
    { code: /^1261$/, fault: 'context-too-long' },
    { code: /^(?:1211|1212|1221|1222)$/, fault: 'upstream-unknown-model' },
    { code: /^1[01]\d\d$|^1220$|^1311$/, fault: 'upstream-refused-key' },
  ],
})
