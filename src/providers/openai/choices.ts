/*
 * The choices of one answer while it is being read. A choice says text, reasoning, a refusal and tool calls, and then finishes, once.
 * Tool calls are what relatives differ in most: ids and names come late, come twice, come empty, and the index that tells parallel calls
 * apart is missing, or the same for all. What has no meaning for the gateway is carried through as it is.
 */
import type { ChatEvent, FinishReason } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { madeToolId } from '../kit/tool-ids.ts'
import { finishReason } from './finish.ts'

type Fields = Readonly<Record<string, unknown>>

export interface Choices {
  /** Reads a message, or one delta of it; `choice` is what stands around it. */
  read(index: number, choice: Fields, message: Fields, events: ChatEvent[]): void
  /** What still comes after the end. It is nothing, but for tool calls after a finish for tool calls: Together finishes after each. */
  readLate(index: number, message: Fields, events: ChatEvent[]): void
  /** Ends a choice; a second end is nothing. */
  finish(index: number, raw: string, events: ChatEvent[]): void
  hasFinished(index: number): boolean
  /** How many choices have said or ended anything. */
  begun(): number
  /** Indexes of choices that have begun and not ended. */
  unfinished(): readonly number[]
  /** Whether any choice has said anything that a client could use. */
  hasContent(): boolean
  /** Whether every choice has ended plainly. */
  allStopped(): boolean
}

interface Tool {
  readonly index: number
  /** The index that the provider gives, which need not be ours. */
  readonly given: number | undefined
  id: string
  name: string
  /** Arguments that came before the name. */
  held: string
  started: boolean
}

interface State {
  /** Made with the first one. */
  tools: Map<number, Tool> | undefined
  reason: FinishReason | undefined
}

/** Fields with an event of their own, and padding. */
const READ: ReadonlySet<string> = new Set([
  'role',
  'content',
  'reasoning',
  'reasoning_content',
  'refusal',
  'tool_calls',
  'padding',
  'p',
  'obfuscation',
])

/** What an answer calls itself. */
interface Named {
  readonly id: string
  readonly model: string
}

/** `start` names the answer, for ids that have to be made. */
export function choices(start: Named): Choices {
  return new AnswerChoices(start)
}

class AnswerChoices implements Choices {
  private readonly start: Named
  /** Of the first choice, which mostly is the only one. */
  private first: State | undefined
  /** Those of the others, made with the first of them. */
  private others: Map<number, State> | undefined
  private isUseful = false

  constructor(start: Named) {
    this.start = start
  }

  private known(index: number): State | undefined {
    return index === 0 ? this.first : this.others?.get(index)
  }

  private stateOf(index: number): State {
    const known = this.known(index)
    if (known !== undefined) return known
    const state: State = { tools: undefined, reason: undefined }
    if (index === 0) this.first = state
    else {
      this.others ??= new Map()
      this.others.set(index, state)
    }
    return state
  }

  /** Those that have begun, the first one first. */
  private all(): readonly (readonly [index: number, state: State])[] {
    const first = this.first === undefined ? [] : [[0, this.first] as const]
    return [...first, ...(this.others ?? [])]
  }

  read(index: number, choice: Fields, message: Fields, events: ChatEvent[]): void {
    const state = this.stateOf(index)
    const from = events.length
    let extra: Record<string, unknown> | undefined
    const thought = text(message.reasoning_content) || text(message.reasoning) || detailedThought(message.reasoning_details)
    if (thought !== '') events.push({ type: 'reasoning-delta', choice: index, text: thought })
    const others = readContent(index, message.content, events)
    if (others !== undefined) extra = { content_parts: others }
    const refusal = text(message.refusal)
    if (refusal !== '') events.push({ type: 'refusal-delta', choice: index, text: refusal })
    this.readTools(index, state, message.tool_calls, events)
    for (const key in message) {
      if (READ.has(key) || isHollow(message[key])) continue
      extra ??= {}
      extra[key] = message[key]
    }
    if (!isHollow(choice.logprobs)) extra = { ...extra, logprobs: choice.logprobs }
    if (events.length > from) this.isUseful = true
    if (extra === undefined) return
    if ('function_call' in extra || 'audio' in extra || 'images' in extra) this.isUseful = true
    events.push({ type: 'extra-delta', choice: index, fields: extra })
  }

  private readTools(choice: number, state: State, calls: unknown, events: ChatEvent[]): void {
    if (Array.isArray(calls)) for (const call of calls) this.readTool(choice, state, asObject(call) ?? {}, events)
  }

  readLate(index: number, message: Fields, events: ChatEvent[]): void {
    const state = this.stateOf(index)
    if (state.reason === 'tool_calls') this.readTools(index, state, message.tool_calls, events)
  }

  private readTool(choice: number, state: State, call: Fields, events: ChatEvent[]): void {
    const named = asObject(call.function) ?? asObject(call.custom) ?? {}
    const id = text(call.id)
    const name = text(named.name)
    const tool = toolOf(state, call, id, name)
    if (tool.id === '') tool.id = id
    if (tool.name === '') tool.name = name
    const said = argumentsOf(named.arguments ?? named.input)
    if (!tool.started) {
      tool.held += said
      // With a name only, the id may still come with the arguments.
      if (tool.name !== '' && (tool.id !== '' || tool.held !== '')) this.startTool(choice, tool, events)
    } else if (said !== '') events.push({ type: 'tool-delta', choice, index: tool.index, json: said })
  }

  private startTool(choice: number, tool: Tool, events: ChatEvent[]): void {
    tool.started = true
    const id = tool.id || madeToolId(this.start.id, this.start.model, choice, tool.index, tool.name, tool.held)
    events.push({ type: 'tool-start', choice, index: tool.index, id, name: tool.name })
    if (tool.held !== '') events.push({ type: 'tool-delta', choice, index: tool.index, json: tool.held })
  }

  finish(index: number, raw: string, events: ChatEvent[]): void {
    const state = this.stateOf(index)
    if (state.reason !== undefined) return
    const tools = state.tools === undefined ? [] : [...state.tools.values()]
    for (const tool of tools) {
      if (tool.started || (tool.id === '' && tool.name === '' && tool.held === '')) continue
      this.startTool(index, tool, events)
      this.isUseful = true
    }
    const called = tools.some(tool => tool.started)
    state.reason = finishReason(raw, called)
    events.push({ type: 'finish', choice: index, reason: state.reason, raw })
  }

  hasFinished(index: number): boolean {
    return this.known(index)?.reason !== undefined
  }

  begun(): number {
    return (this.first === undefined ? 0 : 1) + (this.others?.size ?? 0)
  }

  unfinished(): readonly number[] {
    return this.all()
      .filter(([, state]) => state.reason === undefined)
      .map(([index]) => index)
  }

  hasContent(): boolean {
    return this.isUseful
  }

  allStopped(): boolean {
    return this.all().every(([, state]) => state.reason === 'stop')
  }
}

/** The call that this delta belongs to, by its index and its id, or the last one where it has neither. */
function toolOf(state: State, call: Fields, id: string, name: string): Tool {
  state.tools ??= new Map()
  const { tools } = state
  const given = typeof call.index === 'number' && Number.isInteger(call.index) && call.index >= 0 ? call.index : undefined
  const likely = [...tools.values()].filter(tool => given === undefined || tool.given === given)
  const byId = id === '' ? undefined : likely.find(tool => tool.id === id)
  const isAnother = given === undefined && (id !== '' || name !== '')
  const known = byId ?? (isAnother ? undefined : likely.at(-1))
  // A new id with a name is a new call, even where every call has the index 0.
  if (known !== undefined && !(known.id !== '' && id !== '' && id !== known.id && name !== '')) return known
  const next = tools.size === 0 ? 0 : Math.max(...tools.keys()) + 1
  const index = given === undefined || tools.has(given) ? next : given
  const tool: Tool = { index, given, id: '', name: '', held: '', started: false }
  tools.set(index, tool)
  return tool
}

/** Text, or Mistral's list of chunks, or (in a JSON mode) the object itself. @returns the chunks that are something else, if there are any */
function readContent(choice: number, content: unknown, events: ChatEvent[]): readonly unknown[] | undefined {
  if (typeof content === 'string') {
    if (content !== '') events.push({ type: 'text-delta', choice, text: content })
    return undefined
  }
  if (!Array.isArray(content)) {
    if (asObject(content) !== undefined) events.push({ type: 'text-delta', choice, text: JSON.stringify(content) })
    return undefined
  }
  const others: unknown[] = []
  for (const each of content) {
    const part = asObject(each)
    const thought = part?.type === 'thinking' ? chunkText(part.thinking) : ''
    const said = typeof each === 'string' ? each : part?.type === 'text' || part?.type === 'output_text' ? text(part.text) : ''
    if (thought !== '') events.push({ type: 'reasoning-delta', choice, text: thought, ...signatureOf(part) })
    else if (said !== '') events.push({ type: 'text-delta', choice, text: said })
    else if (part !== undefined && part.type !== 'text' && part.type !== 'thinking') others.push(part)
  }
  return others.length > 0 ? others : undefined
}

function chunkText(chunks: unknown): string {
  if (!Array.isArray(chunks)) return text(chunks)
  return chunks.map(chunk => text(asObject(chunk)?.text)).join('')
}

function signatureOf(part: Fields | undefined): { readonly signature?: string } {
  const signature = text(part?.signature)
  return signature === '' ? {} : { signature }
}

/** Where the thoughts stand in the details only. */
function detailedThought(details: unknown): string {
  if (!Array.isArray(details)) return ''
  return details.map(detail => text(asObject(detail)?.text) || text(asObject(detail)?.summary)).join('')
}

function argumentsOf(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value)
}

/** Says nothing: null, an empty text or list, or an object of nothing else (some send every field that there could be). */
function isHollow(value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === 0 || value === false) return true
  if (Array.isArray(value)) return value.length === 0
  return typeof value === 'object' && Object.values(value).every(isHollow)
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
