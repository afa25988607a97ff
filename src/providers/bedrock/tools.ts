/*
 * OpenAI's tools and tool_choice as Converse's toolConfig. Converse has no `none`, and refuses a conversation with calls in it whose
 * tools are not declared: then they stay, and the model is told in words not to call them.
 */
import type { ChatBody, ChatTool } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { compilable, objectSchema } from '../kit/claude/schema.ts'
import { readToolChoice, type ToolChoice, toolsOfHistory } from '../kit/tool-choice.ts'
import { type Block, cachePointOf } from './content.ts'
import type { Traits } from './models.ts'

export interface Tooling {
  readonly config: { readonly tools: readonly Block[]; readonly toolChoice?: Block } | undefined
  /** Whether the model must call one. */
  readonly forced: boolean
  /** What has to be said in words. */
  readonly instruction?: string
}

const NO_CALLS = 'Do not call any tool in this answer.'
const NONE: Tooling = { config: undefined, forced: false }

/** Whether this is a tool that Converse can be given. */
export function isTranslatable(tool: ChatTool): boolean {
  return tool.type === 'function' && typeof tool.function?.name === 'string'
}

/** Why this model cannot be held to the tools that the call forces on it; undefined when it can. */
export function cannotForce(body: ChatBody, traits: Traits, throughTool: boolean): string | undefined {
  if (traits.toolChoice !== 'auto') return undefined
  if (throughTool) return 'a JSON schema for the answer'
  return readToolChoice(body.tool_choice).mode === 'required' ? 'a forced tool' : undefined
}

/** @param answerTool the synthetic tool through which the answer has to come, if it has to */
export function toolingOf(body: ChatBody, traits: Traits, answerTool: Block | undefined): Tooling {
  const choice = readToolChoice(body.tool_choice)
  const offered = offeredBy(body, choice)
  if (choice.name !== undefined && offered.length > 0) return forcedOn(choice.name, offered, traits)
  if (answerTool !== undefined) return throughTool(answerTool, choice.mode === 'none' ? [] : offered, body, traits)
  if (offered.length === 0) return ofHistory(body)
  switch (choice.mode) {
    case 'none':
      if (toolsOfHistory(body.messages).length === 0) return NONE
      return { config: { tools: specsOf(offered, traits) }, forced: false, instruction: NO_CALLS }
    case 'required':
      return { config: { tools: specsOf(offered, traits), toolChoice: { any: {} } }, forced: true }
    default:
      return { config: { tools: specsOf(offered, traits) }, forced: false }
  }
}

function offeredBy(body: ChatBody, choice: ToolChoice): readonly ChatTool[] {
  const tools = Array.isArray(body.tools) ? (body.tools as readonly ChatTool[]) : []
  return tools.filter(tool => isTranslatable(tool) && choice.allowed?.has(tool.function!.name) !== false)
}

/** Where no tool can be named, it is the only one that is there. */
function forcedOn(name: string, offered: readonly ChatTool[], traits: Traits): Tooling {
  if (traits.toolChoice === 'named')
    return { config: { tools: specsOf(offered, traits), toolChoice: { tool: { name } } }, forced: true }
  const named = offered.filter(tool => tool.function!.name === name)
  return { config: { tools: specsOf(named.length === 0 ? offered : named, traits), toolChoice: { any: {} } }, forced: true }
}

/** The model has to call one of these; among them the tool that gives the answer. */
function throughTool(answerTool: Block, others: readonly ChatTool[], body: ChatBody, traits: Traits): Tooling {
  const alone = others.length === 0
  const specs = alone ? ofHistory(body).config?.tools : specsOf(others, traits)
  const name = asObject(answerTool.toolSpec)!.name
  const toolChoice = alone && traits.toolChoice === 'named' ? { tool: { name } } : { any: {} }
  // Among tools of the past, a model that takes no name could call another.
  const tools = alone && traits.toolChoice !== 'named' ? [answerTool] : [...(specs ?? []), answerTool]
  return { config: { tools, toolChoice }, forced: true }
}

function ofHistory(body: ChatBody): Tooling {
  const names = toolsOfHistory(body.messages)
  if (names.length === 0) return NONE
  const tools = names.map(name => ({ toolSpec: { name, inputSchema: { json: { type: 'object', properties: {} } } } }))
  return { config: { tools }, forced: false, instruction: NO_CALLS }
}

function specsOf(tools: readonly ChatTool[], traits: Traits): readonly Block[] {
  return tools.flatMap(tool => {
    const { name, description, parameters, strict } = tool.function!
    const schema = objectSchema(parameters)
    // Without the guarantee where it cannot be had: the same calls are made, only not checked while they are written.
    const checked = strict === true && traits.nativeSchema ? compilable(schema) : undefined
    const toolSpec = {
      name,
      // An empty one is refused.
      ...(typeof description === 'string' && description.trim() !== '' ? { description } : {}),
      inputSchema: { json: checked ?? schema },
      ...(checked === undefined ? {} : { strict: true }),
    }
    const point = traits.caching === 'everywhere' ? (cachePointOf(tool) ?? cachePointOf(tool.function as Block)) : undefined
    return point === undefined ? [{ toolSpec }] : [{ toolSpec }, point]
  })
}
