/*
 * The spans of a call that is written down. What they say is gathered while the call runs; the SDK's spans are made of it afterwards, as many
 * together as are sent together. Made one by one, as calls begin and end, each finds the SDK's code driven out of the processor's caches, and
 * waits to be sent until it is old, which a few facts do more cheaply than a span.
 */
import type { Span, SpanContext, TimeInput, Tracer } from '@opentelemetry/api'
import type { IdGenerator } from '@opentelemetry/sdk-trace'
import type { AttemptRecord, Target } from '../core/attempt.ts'
import type { ChatCall, ChatEvent } from '../core/chat.ts'
import type { Clock } from '../core/clock.ts'
import {
  type AnswerSeen,
  type Asked,
  type Attributes,
  askedOf,
  attemptBegun,
  attemptOver,
  type CallTold,
  callTold,
  type Failed,
  seeEvents,
} from './call-spans.ts'
import { type Api, headersOf } from './traceparent.ts'
import type { AttemptTrace, CallTrace } from './traces.ts'

export interface SpanOptions {
  readonly api: Api
  readonly tracer: Tracer
  readonly ids: Ids
  readonly clock: Clock
  readonly redact: (text: string) => string
  /** As many are made together, if that many end soon. */
  readonly together: number
}

/** A span that has ended waits for others no longer than this, so that little is lost with a process that dies. */
const WAIT_MS = 100

/** Upstreams and the log are told of a span before it is made: its ids are drawn then, and given to the SDK when it asks for some. */
export class Ids implements IdGenerator {
  private readonly random: IdGenerator
  private given: SpanContext | undefined

  constructor(random: IdGenerator) {
    this.random = random
  }

  generateTraceId(): string {
    return this.given?.traceId ?? this.random.generateTraceId()
  }

  generateSpanId(): string {
    return this.given?.spanId ?? this.random.generateSpanId()
  }

  /** For the span that `make` makes. */
  during<Made>(given: SpanContext, make: () => Made): Made {
    this.given = given
    try {
      return make()
    } finally {
      this.given = undefined
    }
  }
}

/** One that has ended, of which all is known. */
interface Ended {
  make(): void
}

export class Spans {
  readonly api: Api
  readonly ids: Ids
  readonly clock: Clock
  private readonly tracer: Tracer
  private readonly redact: (text: string) => string
  private readonly together: number
  private waiting: Ended[] = []
  private unwait: (() => void) | undefined

  constructor({ api, tracer, ids, clock, redact, together }: SpanOptions) {
    this.api = api
    this.tracer = tracer
    this.ids = ids
    this.clock = clock
    this.redact = redact
    this.together = together
  }

  /** The server's span of a call that is written down, whatever the SDK's sampler would say. */
  begin(parent: SpanContext | undefined, startedAtMs: number, startedTicks: number): CallSpan {
    const { ids } = this
    const context: SpanContext = {
      traceId: parent?.traceId ?? ids.generateTraceId(),
      spanId: ids.generateSpanId(),
      traceFlags: this.api.TraceFlags.SAMPLED,
      ...(parent?.traceState && { traceState: parent.traceState }),
    }
    return new CallSpan(this, parent, context, undefined, startedAtMs, startedTicks)
  }

  /** The server's span of a call, if the SDK's sampler wants it: it can only be asked by making the span. */
  ask(parent: SpanContext | undefined, startedAtMs: number, startedTicks: number): CallSpan | undefined {
    const span = this.start('chat', this.api.SpanKind.SERVER, startedAtMs, parent)
    return span.isRecording() ? new CallSpan(this, parent, span.spanContext(), span, startedAtMs, startedTicks) : undefined
  }

  start(name: string, kind: number, startTime: TimeInput, parent: SpanContext | undefined): Span {
    const { api } = this
    const context = parent === undefined ? api.ROOT_CONTEXT : api.trace.setSpanContext(api.ROOT_CONTEXT, parent)
    return this.tracer.startSpan(name, { kind, startTime }, context)
  }

  end(span: Span, { type, message }: Failed, endedAtMs: number): void {
    if (type !== undefined) {
      const code = this.api.SpanStatusCode.ERROR
      span.setStatus({ code, ...(message !== undefined && { message: this.redact(message) }) })
    }
    span.end(endedAtMs)
  }

  ended(one: Ended): void {
    const many = this.waiting.push(one)
    if (many >= this.together) this.makeAll()
    else if (many === 1) this.unwait = this.clock.after(WAIT_MS, () => this.makeAll())
  }

  makeAll(): void {
    this.unwait?.()
    this.unwait = undefined
    const all = this.waiting
    this.waiting = []
    for (const each of all) each.make()
  }
}

class CallSpan implements CallTrace {
  readonly id: string
  readonly spans: Spans
  readonly context: SpanContext
  private readonly parent: SpanContext | undefined
  /** Made already, where a sampler had to be asked. */
  private readonly made: Span | undefined
  private readonly startedAtMs: number
  private readonly startedTicks: number
  private readonly events: Array<readonly [name: string, attributes: Attributes, atMs: number]> = []
  private told: CallTold | undefined
  private endedAtMs = 0

  constructor(
    spans: Spans,
    parent: SpanContext | undefined,
    context: SpanContext,
    made: Span | undefined,
    startedAtMs: number,
    startedTicks: number,
  ) {
    this.id = context.traceId
    this.spans = spans
    this.parent = parent
    this.context = context
    this.made = made
    this.startedAtMs = startedAtMs
    this.startedTicks = startedTicks
  }

  /** Now, in milliseconds since 1970, as far from the call's beginning as it really is. */
  now(): number {
    return this.startedAtMs + this.spans.clock.ticks() - this.startedTicks
  }

  attempt(target: Target, call: ChatCall): AttemptTrace {
    return new AttemptSpan(this, target, askedOf(call))
  }

  event(name: string, attributes: Attributes): void {
    if (this.told === undefined) this.events.push([name, attributes, this.now()])
  }

  end(told: CallTold, ms: number): void {
    this.told = told
    this.endedAtMs = this.startedAtMs + ms
    this.spans.ended(this)
  }

  make(): void {
    const { spans, context, parent, startedAtMs, endedAtMs } = this
    const { cache, level } = this.told!
    const { name, attributes, failed } = callTold(this.told!)
    const { SERVER } = spans.api.SpanKind
    const span = this.made ?? spans.ids.during(context, () => spans.start(name, SERVER, startedAtMs, parent))
    span.updateName(name)
    span.setAttributes(attributes)
    for (const [event, about, atMs] of this.events) span.addEvent(event, about, atMs)
    if (cache !== undefined) span.addEvent('understudy.cache', { result: cache }, endedAtMs)
    if (level !== 'normal') span.addEvent('understudy.level', { level }, endedAtMs)
    spans.end(span, failed, endedAtMs)
  }
}

class AttemptSpan implements AttemptTrace {
  readonly headers: readonly string[]
  private readonly of: CallSpan
  private readonly context: SpanContext
  private readonly target: Target
  private readonly asked: Asked
  private readonly seen: AnswerSeen = { reasons: new Map() }
  private readonly startedAtMs: number
  private record: AttemptRecord | undefined
  private firstContentMs: number | undefined
  private endedAtMs = 0

  constructor(of: CallSpan, target: Target, asked: Asked) {
    this.of = of
    this.target = target
    this.asked = asked
    this.context = { ...of.context, spanId: of.spans.ids.generateSpanId() }
    this.headers = headersOf(this.context)
    this.startedAtMs = of.now()
  }

  saw(events: readonly ChatEvent[]): void {
    seeEvents(this.seen, events)
  }

  over(record: AttemptRecord, firstContentMs: number | undefined): void {
    this.record = record
    this.firstContentMs = firstContentMs
    this.endedAtMs = this.of.now()
    this.of.spans.ended(this)
  }

  make(): void {
    const { context, target, asked, startedAtMs } = this
    const { spans, context: parent } = this.of
    const begun = attemptBegun(target, asked)
    const told = attemptOver(this.record!, this.seen, asked.stream ? this.firstContentMs : undefined)
    const { CLIENT } = spans.api.SpanKind
    const span = spans.ids.during(context, () => spans.start(begun.name, CLIENT, startedAtMs, parent))
    // All at once, and not when it is made: the SDK copies what it is given, and what it is given then twice.
    span.setAttributes({ ...begun.attributes, ...told.attributes })
    spans.end(span, told.failed, this.endedAtMs)
  }
}
