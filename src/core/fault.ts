/*
 * What can go wrong, as one table. A row says whose doing it is, what the client hears, whether to go on, and what the circuit and the
 * key learn. Nothing else in the gateway decides any of this: the loop asks the table, never a status code. The same table stands in
 * the README, and a test compares them.
 */

interface FaultRow {
  /** Whose doing it is. */
  readonly from: string
  /** The status that the client sees; 'theirs' when the provider's own is passed on. 499 is for the log only. */
  readonly status: number | 'theirs'
  /** OpenAI's error type and code. */
  readonly type: string
  readonly code: string | null
  /** Whether another target may be tried. 'if-larger': one whose context is larger, or unknown. */
  readonly next: 'no' | 'yes' | 'if-larger'
  /** Whether the same target may be tried again. 'other-key': with another key; 'other-key-or-wait': that, or after a short Retry-After. */
  readonly again: 'no' | 'yes' | 'other-key' | 'other-key-or-wait'
  /** Whether the target's circuit counts it as a failure. */
  readonly circuit: boolean
  /** What becomes of the provider key. */
  readonly key: 'none' | 'retires' | 'rests-long' | 'rests-as-told'
  /** Whether a route's `faults:` may change `next`. */
  readonly overridable?: true
  /** Sent as x-should-retry: whether it makes sense that the client's SDK sends the same call again by itself. */
  readonly shouldRetry?: true
  /** What the client is told when the fault says nothing of its own. */
  readonly message: string
}

const SERVER = 'server_error'
const INVALID = 'invalid_request_error'

export const FAULTS = {
  'bad-request': row('client', 400, INVALID, null, 'The request is not a valid call.'),
  unauthorized: row(
    'client',
    401,
    INVALID,
    'invalid_api_key',
    'No valid API key was provided. Send one as "Authorization: Bearer <key>".',
  ),
  'forbidden-route': row('client', 403, 'permission_error', 'model_not_allowed', 'This API key may not use this model.'),
  'unknown-route': row('client', 404, INVALID, 'model_not_found', 'There is no such model.'),
  'too-large': row('client', 413, INVALID, 'request_too_large', 'The request body is too large.'),
  'rate-limited': {
    ...row('client', 429, 'rate_limit_error', 'rate_limit_exceeded', 'Rate limit reached.'),
    shouldRetry: true,
  },
  'over-budget': row('client', 429, 'insufficient_quota', 'insufficient_quota', 'The budget of this API key is used up.'),
  'client-gone': row('client', 499, 'client_closed_request', null, 'The client closed the connection.'),
  'upstream-refused-call': {
    ...row('provider', 'theirs', INVALID, null, 'The model provider refused the request.'),
    overridable: true,
  },
  'context-too-long': {
    ...row('provider', 400, INVALID, 'context_length_exceeded', 'The request does not fit into the context of the model.'),
    next: 'if-larger',
  },
  'content-filtered': {
    ...row(
      'provider',
      400,
      INVALID,
      'content_filter',
      'The request or the answer was refused by the content policy of the provider.',
    ),
    overridable: true,
  },
  'upstream-unknown-model': { ...upstream(502, 'upstream_unknown_model', 'no'), circuit: true },
  'upstream-refused-key': { ...upstream(502, 'upstream_auth_error', 'other-key'), key: 'retires' },
  'upstream-quota-exhausted': { ...upstream(503, 'upstream_quota_exhausted', 'other-key'), key: 'rests-long' },
  'upstream-rate-limited': {
    ...upstream(429, 'upstream_rate_limited', 'other-key-or-wait'),
    type: 'rate_limit_error',
    key: 'rests-as-told',
  },
  'upstream-overloaded': { ...upstream(503, 'upstream_overloaded', 'yes'), circuit: true },
  'upstream-error': { ...upstream(502, 'upstream_error', 'yes'), circuit: true },
  'upstream-unreachable': { ...upstream(502, 'upstream_unreachable', 'yes'), circuit: true },
  'upstream-timeout': { ...upstream(504, 'upstream_timeout', 'no'), circuit: true },
  'upstream-garbled': { ...upstream(502, 'upstream_invalid_response', 'yes'), circuit: true },
  'upstream-stalled': { ...upstream(504, 'upstream_stalled', 'no'), circuit: true },
  'upstream-truncated': { ...upstream(502, 'upstream_truncated', 'no'), circuit: true },
  exhausted: row(
    'every step failed or was passed over',
    503,
    SERVER,
    'all_targets_failed',
    'No model could answer this request.',
  ),
  internal: row('gateway', 500, SERVER, 'internal_error', 'The gateway failed to handle the request.'),
} as const satisfies Record<string, FaultRow>

export type FaultName = keyof typeof FAULTS

function row(from: string, status: number | 'theirs', type: string, code: string | null, message: string) {
  return { from, status, type, code, next: 'no', again: 'no', circuit: false, key: 'none', message } as const satisfies FaultRow
}

function upstream<Again extends FaultRow['again']>(status: number, code: string, again: Again) {
  const message = 'The model provider could not answer.'
  return { from: 'provider', status, type: SERVER, code, next: 'yes', again, circuit: false, key: 'none', message } as const
}

/** The row of a fault, with its type widened so that every column can be asked of every row. */
export function rowOf(name: FaultName): FaultRow {
  return FAULTS[name]
}

/** Faults whose detail may quote the call: it stays out of logs and traces. */
const ABOUT_THE_CALL: ReadonlySet<string> = new Set<FaultName>(['upstream-refused-call', 'context-too-long', 'content-filtered'])

/** @param name of a fault; any other word quotes nothing */
export const mayQuote = (name: string): boolean => ABOUT_THE_CALL.has(name)

export interface FaultDetails {
  /** What the client may read. No provider, host, address or key belongs in it. */
  readonly message?: string
  /** For operators, in the log and the trace: what really happened. */
  readonly detail?: string
  /** Replaces the row's status, type and code in what the client sees (the provider's own, where the row says 'theirs'). */
  readonly status?: number
  readonly type?: string
  readonly code?: string | null
  readonly param?: string | null
  /** How long to wait before the same thing can work, as told by whoever refused it. */
  readonly retryAfterMs?: number
  /** Nothing is said about the target by this (our own machine has no descriptors or no network, the call's deadline cut it short): its circuit must not learn of it. */
  readonly blameless?: boolean
  /** Replaces the row's word on x-should-retry. */
  readonly shouldRetry?: boolean
  /** The provider's own status, for the log. */
  readonly upstreamStatus?: number
}

/** Why something failed. Thrown for a refused call, a value for a failed attempt. */
export class Fault extends Error {
  readonly kind: FaultName
  readonly details: FaultDetails

  constructor(kind: FaultName, details: FaultDetails = {}) {
    super(details.message ?? FAULTS[kind].message)
    this.name = 'Fault'
    this.kind = kind
    this.details = details
  }

  /** The HTTP status that the client sees. */
  get status(): number {
    const status = this.details.status ?? rowOf(this.kind).status
    return status === 'theirs' ? 400 : status
  }

  get type(): string {
    return this.details.type ?? FAULTS[this.kind].type
  }

  get code(): string | null {
    return this.details.code === undefined ? FAULTS[this.kind].code : this.details.code
  }

  get shouldRetry(): boolean {
    return this.details.shouldRetry ?? rowOf(this.kind).shouldRetry ?? false
  }
}

const TEXTS = ['message', 'detail', 'type', 'code', 'param'] as const

/** The same with nothing in its texts that is a secret of ours: some providers repeat what they refuse. */
export function withoutSecrets(fault: Fault, redact: (text: string) => string): Fault {
  const shown: Record<string, unknown> = { ...fault.details }
  let isClean = true
  for (const name of TEXTS) {
    const text = shown[name]
    if (typeof text !== 'string') continue
    shown[name] = redact(text)
    isClean &&= shown[name] === text
  }
  return isClean ? fault : new Fault(fault.kind, shown)
}

/** Any thrown value as a Fault: what is not one already is a fault of ours. */
export function faultOf(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown
  const detail = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
  return new Fault('internal', { detail })
}
