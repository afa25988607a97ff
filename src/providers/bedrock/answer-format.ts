/*
 * OpenAI's response_format. Some models take a JSON schema for the answer as it is, in a part of the language; for the others, and for
 * schemas that it cannot express, the answer comes through a tool. "Some JSON" is asked for in words.
 */
import type { ChatBody } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { ANSWER_TOOL, ANSWER_TOOL_DESCRIPTION, SOME_JSON } from '../kit/answer-tool.ts'
import { compilable, objectSchema } from '../kit/claude/schema.ts'
import type { Block } from './content.ts'
import type { Traits } from './models.ts'

export interface AnswerFormat {
  /** For outputConfig.textFormat. */
  readonly native?: Block
  /** The synthetic tool. */
  readonly tool?: Block
  readonly instruction?: string
}

const LEGAL_NAME = /^[a-zA-Z0-9_-]{1,64}$/

export function answerFormatOf(body: ChatBody, traits: Traits): AnswerFormat {
  const format = body.response_format
  if (format?.type === 'json_object') return { instruction: SOME_JSON }
  if (format?.type !== 'json_schema') return {}
  const given = asObject(format.json_schema)
  const schema = asObject(given?.schema)
  if (schema === undefined) return { instruction: SOME_JSON }
  const { name, description } = given!
  const native = traits.nativeSchema ? compilable(schema) : undefined
  if (native !== undefined) {
    const jsonSchema = {
      schema: JSON.stringify(native),
      name: typeof name === 'string' && LEGAL_NAME.test(name) ? name : 'answer',
      ...(typeof description === 'string' && description !== '' ? { description } : {}),
    }
    return { native: { type: 'json_schema', structure: { jsonSchema } } }
  }
  const described = typeof description === 'string' ? { description, ...schema } : schema
  const toolSpec = { name: ANSWER_TOOL, description: ANSWER_TOOL_DESCRIPTION, inputSchema: { json: objectSchema(described) } }
  return { tool: { toolSpec } }
}
