/*
 * OpenAI's response_format. Newer models take a JSON schema for the answer as it is. For the others, and for schemas that Anthropic's
 * compiler cannot express, a tool of a reserved name is offered whose input is the answer; the decoder knows it by that name and turns
 * its input back into text. An answer that is just "some JSON" has no equivalent and is asked for in words.
 */
import type { ChatBody } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { ANSWER_TOOL, ANSWER_TOOL_DESCRIPTION, SOME_JSON } from '../kit/answer-tool.ts'
import type { Traits } from '../kit/claude/models.ts'
import { compilable, type JsonSchema, objectSchema } from '../kit/claude/schema.ts'

export interface AnswerFormat {
  /** For output_config.format. */
  readonly native?: { readonly type: 'json_schema'; readonly schema: JsonSchema }
  /** The synthetic tool. */
  readonly tool?: Readonly<Record<string, unknown>>
  readonly instruction?: string
}

export function answerFormatOf(body: ChatBody, traits: Traits): AnswerFormat {
  const format = body.response_format
  if (format?.type === 'json_object') return { instruction: SOME_JSON }
  if (format?.type !== 'json_schema') return {}
  const given = asObject(format.json_schema)
  const schema = asObject(given?.schema)
  if (schema === undefined) return { instruction: SOME_JSON }
  const described = typeof given?.description === 'string' ? { description: given.description, ...schema } : schema
  const native = traits.nativeSchema ? compilable(described) : undefined
  if (native !== undefined) return { native: { type: 'json_schema', schema: native } }
  return { tool: { name: ANSWER_TOOL, description: ANSWER_TOOL_DESCRIPTION, input_schema: objectSchema(described) } }
}
