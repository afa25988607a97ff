/** OpenAI's tools and tool_choice as Gemini's, and the tools that Google runs itself. */
import type { ChatBody, ChatTool } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { readToolChoice } from '../kit/tool-choice.ts'
import type { Site } from './site.ts'

type Fields = Readonly<Record<string, unknown>>

export interface Tooling {
  readonly tools: readonly Fields[] | undefined
  readonly toolConfig: Fields | undefined
}

/** By the type under which a client asks for them, and Google's own name for the tool. */
const GOOGLES: Readonly<Record<string, string>> = {
  google_search: 'googleSearch',
  code_execution: 'codeExecution',
  url_context: 'urlContext',
  google_maps: 'googleMaps',
}
const LEGAL_NAME = /^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$/

/** Why this tool cannot be given; undefined when it can. */
export function whyNot(tool: ChatTool): string | undefined {
  if (Object.hasOwn(GOOGLES, tool.type)) return undefined
  const name = tool.function?.name
  if (tool.type !== 'function' || typeof name !== 'string') return `tools of type ${tool.type}`
  return LEGAL_NAME.test(name) ? undefined : 'a function whose name does not begin with a letter'
}

export function functionsOf(body: ChatBody): readonly ChatTool[] {
  return toolsOf(body).filter(tool => tool.type === 'function')
}

export function asksGoogle(body: ChatBody): boolean {
  return asObject(body.web_search_options) !== undefined || toolsOf(body).some(tool => Object.hasOwn(GOOGLES, tool.type))
}

function toolsOf(body: ChatBody): readonly ChatTool[] {
  return Array.isArray(body.tools) ? body.tools : []
}

export function toolingOf(body: ChatBody, site: Site): Tooling {
  const choice = readToolChoice(body.tool_choice)
  const offered = functionsOf(body).filter(tool => choice.allowed?.has(tool.function!.name) ?? true)
  const googles = googlesOf(body)
  const tools = [...(offered.length === 0 ? [] : [{ functionDeclarations: offered.map(declared) }]), ...googles]
  if (tools.length === 0) return { tools: undefined, toolConfig: undefined }
  const calling = offered.length === 0 ? undefined : callingOf(choice, offered)
  const together =
    site.mixesOnRequest && offered.length > 0 && googles.length > 0 ? { includeServerSideToolInvocations: true } : {}
  const config = { ...(calling === undefined ? {} : { functionCallingConfig: calling }), ...together }
  return { tools, toolConfig: Object.keys(config).length === 0 ? undefined : config }
}

function googlesOf(body: ChatBody): readonly Fields[] {
  const asked = new Map<string, Fields>()
  if (asObject(body.web_search_options) !== undefined) asked.set('googleSearch', {})
  for (const { type, ...settings } of toolsOf(body)) if (Object.hasOwn(GOOGLES, type)) asked.set(GOOGLES[type]!, settings)
  return [...asked].map(([name, settings]) => ({ [name]: settings }))
}

function callingOf(choice: ReturnType<typeof readToolChoice>, offered: readonly ChatTool[]): Fields | undefined {
  if (choice.name !== undefined) return { mode: 'ANY', allowedFunctionNames: [choice.name] }
  switch (choice.mode) {
    case 'none':
      return { mode: 'NONE' }
    case 'required':
      return { mode: 'ANY' }
    default:
      // Calls that are checked against their schemas while they are written.
      if (offered.some(tool => tool.function?.strict === true)) return { mode: 'VALIDATED' }
      return choice.mode === 'auto' ? { mode: 'AUTO' } : undefined
  }
}

function declared(tool: ChatTool): Fields {
  const { name, description, parameters } = tool.function!
  const schema = asObject(parameters)
  const properties = asObject(schema?.properties)
  // An object without properties is refused; a function without parameters says the same.
  const isEmpty =
    schema === undefined || (properties !== undefined ? Object.keys(properties).length === 0 : isPlainObject(schema))
  return {
    name,
    ...(typeof description === 'string' && description !== '' ? { description } : {}),
    ...(isEmpty ? {} : { parametersJsonSchema: schema }),
  }
}

function isPlainObject(schema: Fields): boolean {
  return (
    Object.keys(schema).every(key => key === 'type' || key === 'properties' || key === '$schema') ||
    schema.additionalProperties === false
  )
}
