/** What the models at Groq are known to lack: most read nothing but text, and only some can be held to a schema. */
import { knownFrom, OPEN_TEXT_ONLY, without } from '../kit/known-models.ts'

export const abilities = knownFrom(
  [
    [/^llama-3\.3-70b/, { context: 131_072, maxOutput: 32_768, ...without('vision', 'json_schema') }],
    [/^llama-3\.1-8b/, { context: 131_072, ...without('vision', 'json_schema') }],
    [/^(?:qwen\/qwen3-32b|deepseek-r1-distill|gemma2)/, without('vision', 'json_schema')],
    [/^(?:groq\/)?compound/, without('tools', 'vision', 'json_schema')],
  ],
  OPEN_TEXT_ONLY,
)
