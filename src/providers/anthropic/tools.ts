/** OpenAI's tools and tool_choice as Anthropic's. */
import type { ChatBody, ChatTool } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import type { Traits } from '../kit/claude/models.ts'
import { compilable, objectSchema } from '../kit/claude/schema.ts'
import { readToolChoice, toolsOfHistory } from '../kit/tool-choice.ts'
import { withCacheControl } from './content.ts'

type Fields = Readonly<Record<string, unknown>>

export interface Tooling {
  readonly tools: readonly Fields[] | undefined
  readonly choice: Fields | undefined
  /** Whether the model must call one, which it cannot do while thinking. */
  readonly forced: boolean
}

const NO_TOOLS: Tooling = { tools: undefined, choice: undefined, forced: false }
/** The tools that Anthropic runs itself carry the date of their version: web_search_20250305. */
const SERVER_TOOL = /_\d{8}$/

/** Whether this is a tool that Anthropic can be given: a function, or one of its own. */
export function isTranslatable(tool: ChatTool): boolean {
  return isServerTool(tool) || (tool.type === 'function' && typeof tool.function?.name === 'string')
}

function isServerTool(tool: ChatTool): boolean {
  return SERVER_TOOL.test(tool.type)
}

/** @param answerTool the synthetic tool through which the answer has to come, if it has to */
export function toolingOf(body: ChatBody, traits: Traits, answerTool: Fields | undefined): Tooling {
  const choice = readToolChoice(body.tool_choice)
  const offered = (Array.isArray(body.tools) ? body.tools : []).filter(
    tool => choice.allowed === undefined || choice.allowed.has(tool.function?.name ?? ''),
  )
  const tools = offered.map(tool => translated(tool, traits))
  const single = body.parallel_tool_calls === false ? { disable_parallel_tool_use: true } : {}
  if (choice.name !== undefined) return { tools, choice: { type: 'tool', name: choice.name, ...single }, forced: true }
  if (answerTool !== undefined) return throughTool(answerTool, choice.mode === 'none' ? [] : tools, single)
  if (tools.length === 0) return ofHistory(body)
  switch (choice.mode) {
    case 'none':
      return { tools, choice: { type: 'none' }, forced: false }
    case 'required':
      return { tools, choice: { type: 'any', ...single }, forced: true }
    case 'auto':
      return { tools, choice: { type: 'auto', ...single }, forced: false }
    default:
      return { tools, choice: 'disable_parallel_tool_use' in single ? { type: 'auto', ...single } : undefined, forced: false }
  }
}

function translated(tool: ChatTool, traits: Traits): Fields {
  if (isServerTool(tool)) return tool
  const { name, description, parameters, strict } = tool.function!
  const schema = objectSchema(parameters)
  // Without the guarantee where it cannot be had: the same calls are made, only not checked while they are written.
  const checked = strict === true && traits.nativeSchema ? compilable(schema) : undefined
  const fields = {
    name,
    ...(typeof description === 'string' && description !== '' ? { description } : {}),
    input_schema: checked ?? schema,
    ...(checked === undefined ? {} : { strict: true }),
  }
  const author = asObject(tool.cache_control) === undefined ? (tool.function as Fields) : tool
  return withCacheControl(fields as never, author)
}

/** The model has to call one of these; among them the tool that gives the answer. */
function throughTool(answerTool: Fields, others: readonly Fields[], single: Fields): Tooling {
  if (others.length > 0) return { tools: [...others, answerTool], choice: { type: 'any', ...single }, forced: true }
  return {
    tools: [answerTool],
    choice: { type: 'tool', name: answerTool.name, disable_parallel_tool_use: true },
    forced: true,
  }
}

/** A conversation with calls in it needs their tools declared, even when none may be called any more. */
function ofHistory(body: ChatBody): Tooling {
  const names = toolsOfHistory(body.messages)
  if (names.length === 0) return NO_TOOLS
  return { tools: names.map(name => ({ name, input_schema: { type: 'object' } })), choice: { type: 'none' }, forced: false }
}
