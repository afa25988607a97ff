/*
 * A streamed answer in OpenAI's shape. What the provider wrote in this shape goes out as it came; only the usage event, which the
 * gateway always asks for, is kept from clients that did not. Everything else is written from the events.
 */
import type { ChatCall, ChatEvent, Piece, Usage } from '../../core/chat.ts'
import type { AnswerWriter } from '../../core/dialect.ts'
import type { Fault } from '../../core/fault.ts'
import { asObject, tryParse } from '../../core/json.ts'
import { errorBody, newAnswerId } from './shape.ts'
import { openAIUsage } from './usage.ts'

const DONE = Buffer.from('data: [DONE]\n\n')
const HEARTBEAT = Buffer.from(': ping\n\n')

export function streamWriter(call: ChatCall, createdMs: number): AnswerWriter {
  return new StreamWriter(call, createdMs)
}

class StreamWriter implements AnswerWriter {
  private readonly call: ChatCall
  private created: number
  private id: string | undefined
  private model: string
  private usage: Usage | undefined
  /** The client has it already, in the provider's words. */
  private usageTold = false
  private readonly begun = new Set<number>()
  private lastBegun: number | undefined
  /** Per choice, the reasoning since its last signature: a signature is worth nothing without the text it signs. */
  private readonly unsigned = new Map<number, string>()

  constructor(call: ChatCall, createdMs: number) {
    this.call = call
    this.created = Math.floor(createdMs / 1000)
    this.model = call.model
  }

  write(piece: Piece): Uint8Array | undefined {
    if (piece.wire !== undefined) {
      for (const event of piece.events) this.remember(event)
      return relay(piece, piece.wire, this.call.wantsUsage)
    }
    let text = ''
    for (const event of piece.events) text += this.write1(event)
    return text === '' ? undefined : Buffer.from(text)
  }

  /** What the client has been told in the provider's words: what we may have to add is of the same answer. */
  private remember(event: ChatEvent): void {
    if (event.type === 'start') {
      if (event.id !== '') this.id ??= event.id
      if (event.model !== '') this.model = event.model
      this.created = event.createdS ?? this.created
    } else if ('choice' in event) {
      // A set is several places in memory, and this is asked of every event.
      if (event.choice !== this.lastBegun) this.begun.add(event.choice)
      this.lastBegun = event.choice
    } else if (event.type === 'usage') this.usageTold = true
  }

  private write1(event: ChatEvent): string {
    switch (event.type) {
      case 'start':
        this.remember(event)
        return ''
      case 'usage':
        this.usage = event.usage
        return ''
      case 'answer-recovered':
        return `: recovered by ${event.kind}${event.trail === undefined ? '' : `; x-understudy-trail: ${event.trail}`}\n\n`
      case 'text-delta':
        return this.delta(event.choice, { content: event.text })
      case 'refusal-delta':
        return this.delta(event.choice, { refusal: event.text })
      case 'reasoning-delta':
        return this.reasoning(event)
      case 'tool-start': {
        const { index, id: callId, name, extra } = event
        const tool = { index, id: callId, type: 'function', function: { name, arguments: '' }, ...extra }
        return this.delta(event.choice, { tool_calls: [tool] })
      }
      case 'tool-delta':
        return this.delta(event.choice, { tool_calls: [{ index: event.index, function: { arguments: event.json } }] })
      case 'extra-delta': {
        const { logprobs, ...fields } = event.fields
        return this.delta(event.choice, fields, logprobs === undefined ? {} : { logprobs })
      }
      case 'finish':
        return this.delta(event.choice, {}, event.raw === event.reason ? {} : { native_finish_reason: event.raw }, event.reason)
    }
  }

  private reasoning(event: ChatEvent & { type: 'reasoning-delta' }): string {
    const whole = (this.unsigned.get(event.choice) ?? '') + event.text
    this.unsigned.set(event.choice, event.signature === undefined ? whole : '')
    const fields: Record<string, unknown> = {}
    if (event.text !== '') fields.reasoning_content = event.text
    if (event.signature !== undefined)
      fields.reasoning_details = [{ type: 'reasoning.text', text: whole, signature: event.signature }]
    return this.delta(event.choice, fields)
  }

  private delta(choice: number, fields: object, ofChoice: object = {}, finish: string | null = null): string {
    let text = ''
    if (!this.begun.has(choice)) {
      this.begun.add(choice)
      text = this.chunk([{ index: choice, delta: { role: 'assistant', content: '', refusal: null }, finish_reason: null }])
    }
    return text + this.chunk([{ index: choice, delta: fields, finish_reason: finish, ...ofChoice }])
  }

  private chunk(choices: readonly object[], counted: object | null = null): string {
    this.id ??= newAnswerId()
    const { id, created, model, call } = this
    const body = { id, object: 'chat.completion.chunk', created, model, choices, ...(call.wantsUsage && { usage: counted }) }
    return `data: ${JSON.stringify(body)}\n\n`
  }

  end(): Uint8Array {
    const { call, usageTold, usage } = this
    const counted = call.wantsUsage && !usageTold && usage !== undefined ? openAIUsage(usage) : undefined
    return counted === undefined ? DONE : Buffer.concat([Buffer.from(this.chunk([], counted)), DONE])
  }

  fail(fault: Fault): Uint8Array {
    return Buffer.from(`data: ${JSON.stringify(errorBody(fault))}\n\n`)
  }

  heartbeat(): Uint8Array {
    return HEARTBEAT
  }
}

/** The provider's own bytes; where they hold a usage that the client did not ask for, without it. */
function relay(piece: Piece, wire: Uint8Array, wantsUsage: boolean): Uint8Array | undefined {
  if (wantsUsage || !piece.events.some(event => event.type === 'usage')) return wire
  const lines = Buffer.from(wire.buffer, wire.byteOffset, wire.byteLength)
    .toString('utf8')
    .split(/\r\n|\r|\n/)
  const data = lines
    .filter(line => line.startsWith('data:'))
    .map(line => line.slice(5))
    .join('\n')
  const body = asObject(tryParse(data))
  if (body === undefined) return wire
  const { usage: _, ...rest } = body
  if (Array.isArray(rest.choices) && rest.choices.length === 0) return undefined
  return Buffer.from(`data: ${JSON.stringify(rest)}\n\n`)
}
