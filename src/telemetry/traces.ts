/*
 * Traces, by OpenTelemetry's SDK over OTLP/HTTP. The SDK is large, so it is loaded only where traces are wanted: by the configuration, or by
 * the variables that OpenTelemetry has for it. Of the calls that come with no trace, the share of the configuration is drawn here, and the
 * SDK hears of no other; for a call that came with one the SDK decides, and where it is not written down it is handed on. Nothing is
 * registered for the whole process and no library is patched: every span is begun and ended by name, with its parent, so that running code
 * needs no context that follows it around.
 */
import type { Context, ContextManager, ProxyTracerProvider, SpanContext } from '@opentelemetry/api'
import type { SpanExporter } from '@opentelemetry/sdk-trace'
import type { AttemptRecord, Target } from '../core/attempt.ts'
import type { ChatCall, ChatEvent } from '../core/chat.ts'
import type { Clock } from '../core/clock.ts'
import type { Attributes, CallTold } from './call-spans.ts'
import type { Log } from './log.ts'
import { Ids, Spans } from './spans.ts'
import { headersOf, parentOf, type TraceHeaders } from './traceparent.ts'

export interface Traces {
  /** Undefined: there is nothing to write down and nothing to hand on. */
  begin(headers: TraceHeaders, startedAtMs: number, startedTicks: number): CallTrace | undefined
  /** Sends what has not been sent, if the collector takes it soon. */
  close(): Promise<void>
}

export interface CallTrace {
  /** 32 hex digits, of a trace that is written down; undefined: of one that is only handed on. */
  readonly id: string | undefined
  attempt(target: Target, call: ChatCall): AttemptTrace
  event(name: string, attributes: Attributes): void
  /** @param ms from its beginning to its end, which may have been a moment ago */
  end(told: CallTold, ms: number): void
}

export interface AttemptTrace {
  /** Names and values by turns, for the upstream request. */
  readonly headers: readonly string[]
  saw(events: readonly ChatEvent[]): void
  /** @param firstContentMs from its beginning, of a stream */
  over(record: AttemptRecord, firstContentMs: number | undefined): void
}

export interface TraceOptions {
  readonly settings: { readonly endpoint: string; readonly sample: number } | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly version: string
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly redact: (text: string) => string
}

const OWN_NAME = 'understudy'
/** At the end, a collector that does not answer is not waited for longer. */
const CLOSE_MS = 3_000
/** Spans that wait for 512 of their kind, the SDK's default, grow old on a busy gateway, and then it is a full collection that has to find them. */
const BATCH_SPANS = 128

/** Undefined when nobody wants traces. What the variables say of endpoint, headers, sampler and resource is obeyed by the SDK. */
export async function startTraces({
  settings,
  env,
  version,
  clock,
  random,
  log,
  redact,
}: TraceOptions): Promise<Traces | undefined> {
  const isOff = env.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || env.OTEL_TRACES_EXPORTER === 'none'
  const isNamed = Boolean(env.OTEL_EXPORTER_OTLP_ENDPOINT || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)
  if (isOff || (settings === undefined && !isNamed)) return undefined

  const [api, { NodeSDK }, { AlwaysOnSampler, BatchSpanProcessor, ParentBasedSampler, RandomIdGenerator }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-node'),
    import('@opentelemetry/sdk-trace'),
  ])
  const bounds = batches(env)
  const ids = new Ids(new RandomIdGenerator())
  const exporter = telling(await exporterOf(settings?.endpoint, env), log, redact)
  const bySample = settings !== undefined && !env.OTEL_TRACES_SAMPLER
  const isTitled = Boolean(env.OTEL_SERVICE_NAME) || /(^|,)\s*service\.name=/.test(env.OTEL_RESOURCE_ATTRIBUTES ?? '')
  const sdk = new NodeSDK({
    spanProcessors: [new BatchSpanProcessor({ exporter, ...bounds })],
    idGenerator: ids,
    metricReaders: [],
    logRecordProcessors: [],
    textMapPropagator: null,
    contextManager: noContext(api.ROOT_CONTEXT),
    // Of calls that came with no trace, the draw has been made before the SDK is asked.
    ...(bySample && { sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }) }),
    ...(!isTitled && { serviceName: OWN_NAME }),
  })
  sdk.start()
  const provider = (api.trace.getTracerProvider() as ProxyTracerProvider).getDelegate()
  const tracer = provider.getTracer(OWN_NAME, version)
  // The one who starts them has them; a second gateway in this process has its own.
  api.trace.disable()
  api.context.disable()

  const spans = new Spans({ api, tracer, ids, clock, redact, together: Math.min(bounds.maxExportBatchSize, bounds.maxQueueSize) })

  return {
    begin(headers, startedAtMs, startedTicks) {
      const parent = parentOf(api, headers)
      if (!bySample) return spans.ask(parent, startedAtMs, startedTicks) ?? (parent && handedOn(parent))
      const isWanted = parent === undefined ? random() < settings.sample : (parent.traceFlags & api.TraceFlags.SAMPLED) !== 0
      return isWanted ? spans.begin(parent, startedAtMs, startedTicks) : parent && handedOn(parent)
    },
    close: () =>
      new Promise(resolve => {
        spans.makeAll()
        const cancel = clock.after(CLOSE_MS, resolve)
        sdk
          .shutdown()
          .catch(() => undefined)
          .finally(() => {
            cancel()
            resolve()
          })
      }),
  }
}

/** A trace that somebody else writes down, or nobody: it goes on as it came. */
function handedOn(parent: SpanContext): CallTrace {
  const attempt: AttemptTrace = { headers: headersOf(parent), saw() {}, over() {} }
  return { id: undefined, attempt: () => attempt, event() {}, end() {} }
}

/** To the collector of the configuration in JSON, to that of the variables in protobuf, unless these say otherwise. */
async function exporterOf(endpoint: string | undefined, env: TraceOptions['env']): Promise<SpanExporter> {
  const named = env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL || env.OTEL_EXPORTER_OTLP_PROTOCOL
  const isJson = named === undefined || named === '' ? endpoint !== undefined : named === 'http/json'
  const { OTLPTraceExporter } = isJson
    ? await import('@opentelemetry/exporter-trace-otlp-http')
    : await import('@opentelemetry/exporter-trace-otlp-proto')
  return new OTLPTraceExporter(endpoint === undefined ? {} : { url: tracesUrl(endpoint) })
}

/** The address of a collector is that of all it takes; traces have their path there. */
function tracesUrl(endpoint: string): string {
  const path = '/v1/traces'
  const url = new URL(endpoint)
  const bare = url.pathname.replace(/\/+$/, '')
  url.pathname = bare.endsWith(path) ? bare : bare + path
  return url.href
}

/**
 * How the SDK is to send: as it is used to, but for the size of a batch, unless the variables that it would read itself say otherwise. With
 * batches of no spans it would go on for ever; what is less than it may be, or no number, is as good as not there.
 */
function batches(env: TraceOptions['env']) {
  const asked = (name: string, least: number, otherwise: number) => {
    const number = Number.parseInt(env[`OTEL_BSP_${name}`] ?? '', 10)
    return number >= least ? number : otherwise
  }
  return {
    maxQueueSize: asked('MAX_QUEUE_SIZE', 0, 2_048),
    maxExportBatchSize: asked('MAX_EXPORT_BATCH_SIZE', 1, BATCH_SPANS),
    scheduledDelayMillis: asked('SCHEDULE_DELAY', 0, 5_000),
    exportTimeoutMillis: asked('EXPORT_TIMEOUT', 0, 30_000),
  }
}

/**
 * Tells once that the collector does not take what it is sent, and once that it does again. A batch counts as done when it is on its way, so
 * that a collector that is far away, or slow, does not get one batch in the time of each of its answers: the exporter itself bounds how many
 * are under way (30), and waits for them at the end.
 */
function telling(exporter: SpanExporter, log: Log, redact: (text: string) => string): SpanExporter {
  let away = false
  return {
    export(spans, done) {
      exporter.export(spans, result => {
        const failed = result.error !== undefined || result.code !== 0
        if (failed && !away) log.warn('traces', { collector: 'away', detail: redact(reasonOf(result.error)) })
        if (!failed && away) log.info('traces', { collector: 'back' })
        away = failed
      })
      done({ code: 0 })
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  }
}

/** A code or a status says it all; messages may hold addresses. */
function reasonOf(error: (Error & { code?: unknown }) | undefined): string {
  return String(error?.code ?? error?.message ?? 'not taken').slice(0, 200)
}

/** Nothing is asked of a context that follows running code, so there is none to pay for. */
function noContext(root: Context): ContextManager {
  const none: ContextManager = {
    active: () => root,
    with: (_, run, self, ...rest) => run.call(self as never, ...rest),
    bind: (_, target) => target,
    enable: () => none,
    disable: () => none,
  }
  return none
}
