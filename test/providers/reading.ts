/* Reads recordings of providers and runs a provider over them, as the upstream would, down to what a client would see. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ChatEvent, Usage } from '../../src/core/chat.ts'
import { Fault, type FaultName } from '../../src/core/fault.ts'
import { tryParse } from '../../src/core/json.ts'
import { eventsOf, type Provider } from '../../src/core/provider.ts'
import { awsEventsCodec, awsEventsFramer } from '../../src/upstream/aws-events.ts'
import { type Framer, FramingBroken, sseFramer } from '../../src/upstream/framing.ts'
import { ndjsonFramer } from '../../src/upstream/ndjson.ts'
import { awsMessage } from '../upstream/aws-message.ts'

export interface Recording {
  readonly file: string
  readonly provider: string
  readonly api: string
  readonly stream: boolean
  readonly tags?: readonly string[]
  readonly error?: { readonly class: string }
  readonly response: {
    readonly status: number
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: unknown
    readonly raw?: string
    /** The very bytes of an event stream of AWS … */
    readonly raw_base64?: string
    /** … or, where there are none, its messages to be written: texts of the headers, and the payload as JSON. */
    readonly events?: readonly { readonly headers: Readonly<Record<string, string>>; readonly payload?: unknown }[]
  }
  readonly expect?: Expectation
}

export interface ToolSeen {
  readonly id?: string
  readonly name: string
  readonly arguments: string
}

/** What an answer came to. Of several choices, the first. */
export interface Expectation {
  readonly text?: string
  readonly reasoning?: string
  readonly refusal?: string
  readonly tools?: readonly ToolSeen[]
  readonly finish?: string
  readonly usage?: Usage
  readonly fault?: FaultName
  readonly retryAfterMs?: number
}

export interface Seen extends Expectation {
  /** What the fault says to operators. */
  readonly detail?: string
  readonly malformed: number
  readonly events: readonly ChatEvent[]
}

export function recordingsIn(folder: string): readonly Recording[] {
  const files = readdirSync(folder)
    .filter(file => file.endsWith('.json'))
    .sort()
  return files.map(file => ({ ...(JSON.parse(readFileSync(join(folder, file), 'utf8')) as Recording), file }))
}

/** Runs the provider over the recorded answer; `cut` says how its bytes are cut. */
export function see(
  provider: Provider,
  recording: Recording,
  cut: (bytes: Buffer) => readonly Buffer[] = bytes => [bytes],
): Seen {
  const { status, headers = {}, body, raw } = recording.response
  const streamed = recording.stream ? streamOf(recording) : undefined
  const events: ChatEvent[] = []
  let malformed = 0
  try {
    if (status !== 200) {
      const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
      const text = raw ?? (typeof body === 'string' ? body : JSON.stringify(body))
      throw provider.classify({
        status,
        headers: lower,
        body: raw === undefined ? body : tryParse(raw),
        text,
        receivedMs: Date.UTC(2026, 2, 1),
      })
    }
    if (streamed === undefined) events.push(...provider.decode(raw === undefined ? body : tryParse(raw)))
    else malformed = decodeStream(provider, cut(streamed), events)
  } catch (thrown) {
    const fault = thrown instanceof FramingBroken ? new Fault('upstream-garbled', { detail: thrown.message }) : thrown
    if (!(fault instanceof Fault)) throw thrown
    const { detail, retryAfterMs } = fault.details
    return {
      ...summary(events),
      malformed,
      fault: fault.kind,
      ...(detail === undefined ? {} : { detail }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    }
  }
  return { ...summary(events), malformed }
}

/** The bytes of a streamed answer, as they came or as they would have come. */
export function streamOf({ response }: Recording): Buffer | undefined {
  const { raw, raw_base64: base64, events } = response
  if (raw !== undefined) return Buffer.from(raw)
  if (base64 !== undefined) return Buffer.from(base64, 'base64')
  return events && Buffer.concat(events.map(({ headers, payload }) => awsMessage(headers, JSON.stringify(payload ?? {}))))
}

const codec = await awsEventsCodec()
const FRAMERS: Readonly<Record<Provider['framing'], () => Framer>> = {
  sse: () => sseFramer(),
  ndjson: () => ndjsonFramer(),
  'aws-events': () => awsEventsFramer(codec),
}

function decodeStream(provider: Provider, parts: readonly Buffer[], events: ChatEvent[]): number {
  const framer = FRAMERS[provider.framing]()
  const decoder = provider.decoder()
  let malformed = 0
  let done = false
  const take = (frames: readonly { event?: string | undefined; data: string | undefined }[]) => {
    for (const frame of frames) {
      if (done) return
      const decoded = decoder.push(frame)
      if (decoded === 'done') done = true
      else if (decoded === 'malformed') malformed++
      else events.push(...eventsOf(decoded))
    }
  }
  for (const part of parts) take(framer.push(part).frames)
  take(framer.end().frames)
  events.push(...decoder.end())
  return malformed
}

function summary(events: readonly ChatEvent[]): Omit<Seen, 'malformed'> {
  let text = ''
  let reasoning = ''
  let refusal = ''
  let finish: string | undefined
  let usage: Usage | undefined
  const tools = new Map<number, { id: string; name: string; arguments: string }>()
  for (const event of events) {
    if (event.type === 'usage') usage = event.usage
    if (!('choice' in event) || event.choice !== 0) continue
    if (event.type === 'text-delta') text += event.text
    else if (event.type === 'reasoning-delta') reasoning += event.text
    else if (event.type === 'refusal-delta') refusal += event.text
    else if (event.type === 'tool-start') {
      if (tools.has(event.index)) throw new Error(`tool ${event.index} started twice`)
      tools.set(event.index, { id: event.id, name: event.name, arguments: '' })
    } else if (event.type === 'tool-delta') {
      const tool = tools.get(event.index)
      if (tool === undefined) throw new Error(`tool ${event.index} was not started`)
      tool.arguments += event.json
    } else if (event.type === 'finish') {
      if (finish !== undefined) throw new Error('finished twice')
      finish = event.reason
    }
  }
  return {
    events,
    ...(text === '' ? {} : { text }),
    ...(reasoning === '' ? {} : { reasoning }),
    ...(refusal === '' ? {} : { refusal }),
    ...(tools.size === 0 ? {} : { tools: [...tools.values()] }),
    ...(finish === undefined ? {} : { finish }),
    ...(usage === undefined ? {} : { usage }),
  }
}
