/** What goes wrong in a run of chaos: a row for each fault that a simulator's script knows, one without any, and one with all of them at once. */
import type { ScriptRule } from '../../src/config/simulation.ts'

/** A rule as it stands in YAML. */
type Rule = { readonly [Key in keyof ScriptRule]?: unknown }

export interface Row {
  readonly name: string
  /** The script of a provider of whose calls this share goes wrong. */
  script(share: number): readonly Rule[]
  /** Circuits open and close, as they do in production; otherwise they let everything through, so that the fault is met again and again. */
  readonly circuits?: true
  /** Connections end that something may have been sent on, without anybody having read it. */
  readonly endsConnections?: true
}

/** Later than `first_token` of the stage. */
const TOO_LATE = '900ms'

/** Bytes; a stream of hundreds of reads. */
export const HUGE = 200_000

const FAULTS: readonly (readonly [name: string, rule: Rule])[] = [
  ['status 500', { status: 500 }],
  ['status 503, retry-after', { status: 503, headers: { 'retry-after-ms': '15' } }],
  ['status 429, retry-after', { status: 429, headers: { 'retry-after-ms': '20' } }],
  ['status 401', { status: 401 }],
  ['status 400, a body', { status: 400, body: { error: { message: 'No.', type: 'invalid_request_error', code: null } } }],
  ['refuse', { refuse: true }],
  ['reset', { reset: true }],
  ['never_answer', { never_answer: true }],
  ['slow_first_token', { slow_first_token: TOO_LATE }],
  ['slow_tokens', { slow_tokens: '40ms' }],
  ['stall_after 4', { stall_after: 4 }],
  ['cut_after 4, reset', { cut_after: 4 }],
  ['cut_after 4, clean', { cut_after: 4, cut_how: 'clean' }],
  ['cut_after 4, half-chunk', { cut_after: 4, cut_how: 'half-chunk' }],
  ['cut_at_byte 700', { cut_at_byte: 700 }],
  ['stall_at_byte 700', { stall_at_byte: 700 }],
  ['garbled_at 3', { garbled_at: 3 }],
  ['finish_twice', { finish_twice: true }],
  ['usage_early', { usage_early: true }],
  ['error_after_finish', { error_after_finish: true }],
  ['data_after_done', { data_after_done: true }],
  ['no_done', { no_done: true }],
  ['empty_choices', { empty_choices: true }],
  ['error_in_200', { error_in_200: true }],
  ['error_in_200 after 4', { error_in_200: { type: 'server_error', message: 'Sorry.', after: 4 } }],
  ['html', { html: true }],
  ['huge', { huge: HUGE }],
]

/** Nobody listens for some time, again and again. */
const DOWN = { everyMs: 1_500, forMs: 150, times: 50 }
const down: Row = {
  name: 'down',
  endsConnections: true,
  script: () =>
    Array.from({ length: DOWN.times }, (_, at) => ({
      down: true,
      from: `${(at + 0.5) * DOWN.everyMs}ms`,
      for: `${DOWN.forMs}ms`,
    })),
}

export const FAULT_FREE: Row = { name: 'fault-free', script: () => [] }

export const EVERYTHING: Row = {
  name: 'everything at once',
  script: share => [...down.script(share), ...FAULTS.map(([, rule]) => ({ ...rule, share: share / FAULTS.length }))],
  circuits: true,
  endsConnections: true,
}

/** The row to compare with comes first. */
export const ROWS: readonly Row[] = [
  FAULT_FREE,
  ...FAULTS.map(
    ([name, rule]): Row => ({
      name,
      script: share => [{ ...rule, share }],
      ...(rule.refuse !== undefined && { endsConnections: true }),
    }),
  ),
  down,
  EVERYTHING,
]
