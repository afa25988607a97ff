/** OpenAI's tools and tool_choice as Cohere's. */
import type { ChatBody, ChatTool } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { readToolChoice } from '../kit/tool-choice.ts'
import type { Traits } from './models.ts'
import { legalName } from './tool-names.ts'

type Fields = Readonly<Record<string, unknown>>

export interface Tooling {
  readonly tools: readonly Fields[] | undefined
  readonly choice: 'REQUIRED' | 'NONE' | undefined
  readonly strict: true | undefined
  readonly leftOut: readonly string[]
}

const NO_TOOLS: Tooling = { tools: undefined, choice: undefined, strict: undefined, leftOut: [] }

export function toolingOf(body: ChatBody, traits: Traits): Tooling {
  const { mode, name, allowed } = readToolChoice(body.tool_choice)
  const offered = (Array.isArray(body.tools) ? body.tools : []).filter(({ function: offer }) =>
    name !== undefined ? offer?.name === name : (allowed?.has(offer?.name ?? '') ?? true),
  )
  if (offered.length === 0 || (mode === 'none' && !traits.toolChoice)) return NO_TOOLS
  const wantsStrict = offered.some(tool => tool.function?.strict === true)
  const strict = wantsStrict && offered.every(mayBeStrict)
  return {
    tools: offered.map(translated),
    choice: mode === 'required' ? 'REQUIRED' : mode === 'none' ? 'NONE' : undefined,
    strict: strict ? true : undefined,
    leftOut: wantsStrict && !strict ? ['strict'] : [],
  }
}

function translated(tool: ChatTool): Fields {
  const { name = '', description, parameters } = tool.function ?? {}
  return {
    type: 'function',
    function: {
      name: legalName(name),
      ...(typeof description === 'string' && description !== '' ? { description } : {}),
      parameters: asObject(parameters) ?? { type: 'object', properties: {} },
    },
  }
}

/** Strictness is for all tools together or for none, and a tool without a required parameter is then an error. */
function mayBeStrict(tool: ChatTool): boolean {
  const required = asObject(tool.function?.parameters)?.required
  return tool.function?.strict === true && Array.isArray(required) && required.length > 0
}
