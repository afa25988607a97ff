/*
 * OpenAI's tools for Ollama, which has no tool_choice. That none may be called is said by offering none, that only some may by offering
 * those; that one must is asked for in words, and told as left out, because nothing enforces it.
 */
import type { ChatBody, ChatTool } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { readToolChoice } from '../kit/tool-choice.ts'

type Fields = Readonly<Record<string, unknown>>

export interface Tooling {
  readonly tools: readonly Fields[] | undefined
  readonly instruction: string | undefined
  readonly leftOut: readonly string[]
}

const MUST_CALL = 'Do not answer in words. Call one of the tools.'

export function toolingOf(body: ChatBody): Tooling {
  const { mode, name, allowed } = readToolChoice(body.tool_choice)
  const offered = (Array.isArray(body.tools) ? body.tools : []).filter(({ function: offer }) =>
    name !== undefined ? offer?.name === name : (allowed?.has(offer?.name ?? '') ?? true),
  )
  if (offered.length === 0 || mode === 'none') return { tools: undefined, instruction: undefined, leftOut: [] }
  const forced = mode === 'required'
  return {
    tools: offered.map(translated),
    instruction: forced ? MUST_CALL : undefined,
    leftOut: [...(forced ? ['tool_choice'] : []), ...(offered.some(tool => tool.function?.strict === true) ? ['strict'] : [])],
  }
}

function translated(tool: ChatTool): Fields {
  const { name, description, parameters } = tool.function ?? {}
  return {
    type: 'function',
    function: {
      name,
      ...(typeof description === 'string' && description !== '' ? { description } : {}),
      parameters: asObject(parameters) ?? { type: 'object', properties: {} },
    },
  }
}
