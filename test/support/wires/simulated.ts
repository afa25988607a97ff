/** OpenAI's wire, with what its relatives write and check otherwise, and Anthropic's: both as the simulator writes them. */
import { answerTo } from '../../../src/simulator/answer.ts'
import { anthropicWire } from '../../../src/simulator/anthropic.ts'
import { geminiWire } from '../../../src/simulator/gemini.ts'
import { openAIWire } from '../../../src/simulator/openai.ts'
import { frameOf, type Wire } from '../../../src/simulator/wire.ts'
import { ANSWER, type ProviderWire, problemOf, type Received, type Said, type Written } from './scene.ts'

export interface Manners {
  readonly path: string
  /** The ids that it takes. */
  readonly legal: RegExp
  /** An id as it makes them; the simulator's own when left out. */
  readonly newId?: (index: number) => string
  readonly usageUnasked?: true
  /** What stands before everything else in its streams. */
  readonly preamble?: string
  /** What else it would not take. */
  readonly objection?: (body: any) => string | undefined
}

let calls = 0

export function openAIRelative(manners: Manners): ProviderWire {
  return received => {
    if (received.path !== manners.path) return { problem: `nothing is at ${received.path}` }
    const problem = manners.objection?.(received.body) ?? problemOf(openAIConversation(received.body), manners.legal)
    if (problem !== undefined) return { problem }
    const written = simulated(openAIWire, received, manners.usageUnasked === true)
    return 'problem' in written ? written : dressed(written, manners, received.body.stream === true)
  }
}

export const anthropicsOwn: ProviderWire = received => {
  const { path, headers, body } = received
  if (path !== '/v1/messages') return { problem: `nothing is at ${path}` }
  if (typeof headers['anthropic-version'] !== 'string') return { problem: 'no anthropic-version' }
  const problem = problemOf(anthropicConversation(body), /^[a-zA-Z0-9_-]+$/) ?? turnProblem(body.messages)
  return problem === undefined ? simulated(anthropicWire, received, false) : { problem }
}

/** Stand-ins that say whatever they are told, by the type of the provider that they stand in for. */
export const SAYING: Readonly<
  Record<'openai' | 'anthropic' | 'gemini', (received: Received, text: string) => ReturnType<ProviderWire>>
> = {
  openai: (received, text) => simulated(openAIWire, received, false, text),
  anthropic: (received, text) => simulated(anthropicWire, received, false, text),
  gemini: (received, text) => simulated(geminiWire, received, false, text),
}

function simulated(wire: Wire, { path, body }: Received, usageUnasked: boolean, said = ANSWER): ReturnType<ProviderWire> {
  const { pathname, searchParams } = new URL(path, 'http://stand-in')
  const ask = wire.read(body, wire.callAt(pathname.replace(/^\/v1(?:beta)?(?=\/)/, ''), searchParams) ?? {})
  if ('status' in ask) return { problem: ask.message ?? 'no message' }
  const reading = usageUnasked ? { ...ask, reportsUsage: true } : ask
  const turn = {
    ask: reading,
    answers: [answerTo(reading, { name: 'stand-in', answer: said, echoes: false })],
    createdMs: 1_700_000_000_000,
  }
  const contentType = wire.headers('', ask.stream)['content-type']!
  const bytes = ask.stream ? [...wire.events(turn, false)].map(frameOf).join('') : wire.whole(turn, false)
  return { contentType, bytes }
}

function dressed(written: Written, { newId, preamble = '' }: Manners, stream: boolean): Written {
  const own = new Map<string, string>()
  const text = (stream ? preamble : '') + String(written.bytes)
  if (newId === undefined) return { ...written, bytes: text }
  const bytes = text.replace(/call_[A-Za-z0-9]{24}/g, id => {
    if (!own.has(id)) own.set(id, newId(calls++))
    return own.get(id)!
  })
  return { ...written, bytes }
}

/** Also Cohere's, which has it from here. */
export function openAIConversation(body: any): readonly Said[] {
  return body.messages.flatMap((message: any): readonly Said[] => {
    const text = textOf(message.content)
    if (message.role === 'tool') return [{ kind: 'result', id: message.tool_call_id, text }]
    const by = message.role === 'user' || message.role === 'assistant' ? message.role : 'system'
    const made = (message.tool_calls ?? []).map((call: any) => ({ kind: 'call', id: call.id, name: call.function.name }))
    return [...(text === '' ? [] : [{ kind: 'text', by, text } as const]), ...made]
  })
}

function anthropicConversation(body: any): readonly Said[] {
  return body.messages.flatMap(({ role, content }: any) =>
    (typeof content === 'string' ? [{ type: 'text', text: content }] : content).map((block: any): Said => {
      if (block.type === 'tool_use') return { kind: 'call', id: block.id, name: block.name }
      if (block.type === 'tool_result') return { kind: 'result', id: block.tool_use_id, text: textOf(block.content) }
      return { kind: 'text', by: role, text: block.text ?? '' }
    }),
  )
}

/** User and assistant take turns, the user first. */
export function turnProblem(messages: readonly any[]): string | undefined {
  const wrong = messages.findIndex(({ role }, index) => role !== (index % 2 === 0 ? 'user' : 'assistant'))
  return wrong === -1 ? undefined : `message ${wrong} is not in turn`
}

export function textOf(content: any): string {
  if (typeof content === 'string') return content
  return (content ?? []).map((part: any) => part.text ?? '').join('')
}
