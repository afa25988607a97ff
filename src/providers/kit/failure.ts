/*
 * What a provider's failure means. First the provider's own rules, for it alone knows what its words mean; then words that mean the same
 * everywhere; then sentences, the most telling first; the status last, because it is what providers get wrong most: a wrong key comes as
 * 400, no credit as 403 and 429, no room as 413, and all of them as 200.
 */
import { Fault, type FaultDetails, type FaultName } from '../../core/fault.ts'
import type { UpstreamFailure } from '../../core/provider.ts'
import { faultOfCode, faultOfMessage } from './fault-words.ts'
import { retryAfterMs } from './retry-after.ts'
import { scrub, scrubKeys, shorten } from './scrub.ts'
import { type Told, told } from './told.ts'

export { type Told, told } from './told.ts'

/** One thing that a provider's failure can mean: all the conditions that are given must hold. */
export interface Rule {
  readonly status?: number | readonly number[]
  readonly type?: RegExp
  readonly code?: RegExp
  readonly message?: RegExp
  readonly fault: FaultName
}

const LONGEST_DETAIL = 500
/** Types and codes go to the client as words; something longer is no word. */
const LONGEST_WORD = 100

const TELLS_WHEN: ReadonlySet<FaultName> = new Set(['upstream-rate-limited', 'upstream-overloaded', 'upstream-quota-exhausted'])
/** The client's own doing, or its prompt's: it is told what the provider said. */
const TELLS_WHY: ReadonlySet<FaultName> = new Set(['upstream-refused-call', 'context-too-long', 'content-filtered'])

/**
 * The fault that a failed answer means. Never throws. For an error inside a 200 that nothing here recognises it is `upstream-garbled`.
 */
export function classifyBy(rules: readonly Rule[], failure: UpstreamFailure): Fault {
  const said = told(failure)
  const kind = kindOf(rules, said, failure)
  return new Fault(kind, detailsOf(kind, said, failure))
}

function kindOf(rules: readonly Rule[], said: Told, failure: UpstreamFailure): FaultName {
  const rule = rules.find(rule => holds(rule, said))
  if (rule !== undefined) return rule.fault
  const hasStatus = said.status >= 300
  return (
    faultOfCode(said.code, hasStatus) ??
    faultOfCode(said.type, hasStatus) ??
    faultOfMessage(said.message, said.status) ??
    faultOfStatus(said.status, failure.headers['x-should-retry'] === 'true')
  )
}

function holds(rule: Rule, said: Told): boolean {
  const { status } = rule
  if (status !== undefined && !(typeof status === 'number' ? status === said.status : status.includes(said.status))) return false
  if (rule.type !== undefined && !rule.type.test(said.type ?? '')) return false
  if (rule.code !== undefined && !rule.code.test(said.code ?? '')) return false
  return rule.message === undefined || rule.message.test(said.message)
}

/** `again`: the provider itself says that the same call may succeed if it is sent again, so the call is not at fault. */
function faultOfStatus(status: number, again: boolean): FaultName {
  switch (status) {
    case 401:
    case 403:
    case 407:
    case 412:
      return 'upstream-refused-key'
    case 402:
      return 'upstream-quota-exhausted'
    case 404:
      return 'upstream-unknown-model'
    case 423:
    case 425:
    case 498:
    case 503:
    case 529:
    case 530:
      return 'upstream-overloaded'
    case 429:
      return 'upstream-rate-limited'
    case 408:
    case 424:
    case 499:
      return 'upstream-error'
  }
  if (status >= 200 && status < 300) return 'upstream-garbled'
  if (status >= 400 && status < 500) return again ? 'upstream-error' : 'upstream-refused-call'
  return 'upstream-error'
}

function detailsOf(kind: FaultName, said: Told, failure: UpstreamFailure): FaultDetails {
  const message = TELLS_WHY.has(kind) ? scrub(said.message) : ''
  const retryAfter = TELLS_WHEN.has(kind) ? retryAfterMs(failure) : undefined
  return {
    detail: detailOf(said, failure),
    upstreamStatus: failure.status,
    ...(message === '' ? {} : { message }),
    ...(retryAfter === undefined ? {} : { retryAfterMs: retryAfter }),
    ...(kind === 'upstream-refused-call' ? theirWords(said) : {}),
  }
}

function theirWords(said: Told): FaultDetails {
  const type = wordOf(said.type)
  const code = wordOf(said.code)
  const param = wordOf(said.param)
  return {
    status: said.status >= 400 && said.status < 500 ? said.status : 400,
    ...(type === undefined ? {} : { type }),
    ...(code === undefined ? {} : { code }),
    ...(param === undefined ? {} : { param }),
  }
}

function wordOf(text: string | undefined): string | undefined {
  return text === undefined ? undefined : shorten(scrub(text), LONGEST_WORD)
}

/** For operators: what was said, or the beginning of whatever came instead. */
function detailOf(said: Told, failure: UpstreamFailure): string {
  const words = said.message === '' ? failure.text.slice(0, LONGEST_DETAIL * 2) : said.message
  const line = [failure.status, said.type, said.code, words].filter(part => part !== undefined && part !== '').join(' ')
  return shorten(scrubKeys(line).replace(/\s+/g, ' ').trim(), LONGEST_DETAIL)
}
