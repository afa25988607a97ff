/*
 * What the words in error bodies mean, whoever says them. Only words that mean one thing everywhere stand here; a word with a meaning of
 * its own at one provider belongs into that provider's rules, which are asked first.
 */
import type { FaultName } from '../../core/fault.ts'

const CODES: Readonly<Partial<Record<FaultName, readonly string[]>>> = {
  'context-too-long': [
    'context_length_exceeded',
    'context_window_exceeded',
    'model_context_window_exceeded',
    'token_limit_exceeded',
    'string_too_long',
    'too_many_prompt_tokens',
    'TOO_MANY_TOKENS',
    'exceed_context_size_error',
  ],
  'upstream-quota-exhausted': [
    'insufficient_quota',
    'credit_balance_exhausted',
    'organization_spend_limit_exceeded',
    'project_spend_limit_exceeded',
    'organization_usage_limit_exceeded',
    'enforced_spend_limit_reached',
    'billing_hard_limit_reached',
    'billing_not_active',
    'billing_error',
    'exceeded_current_quota_error',
    'payment_required',
    'insufficient_balance',
    'insufficient_credits',
    'Arrearage',
  ],
  'upstream-rate-limited': [
    'rate_limit_exceeded',
    'rate_limit_error',
    'rate_limit_reached',
    'rate_limited',
    'rate_limit',
    'RateLimitReached',
    'too_many_requests',
    'limit_requests',
    'concurrency_limit_exceeded',
    'RESOURCE_EXHAUSTED',
    'Throttling',
    'ThrottlingException',
    'Throttling.RateQuota',
    'Throttling.BurstRate',
    'Throttling.AllocationQuota',
  ],
  'upstream-overloaded': [
    'overloaded_error',
    'overloaded',
    'server_overloaded',
    'server_is_overloaded',
    'slow_down',
    'engine_overloaded',
    'engine_overloaded_error',
    'service_unavailable',
    'service_unavailable_error',
    'ServiceUnavailableException',
    'UNAVAILABLE',
    'unavailable_error',
    'provider_overloaded',
    'MODEL_CAPACITY_EXHAUSTED',
    'capacity_exceeded',
    'queue_exceeded',
    'ModelUnavailable',
    'ModelNotReadyException',
  ],
  'upstream-refused-key': [
    'invalid_api_key',
    'incorrect_api_key',
    'API_KEY_INVALID',
    'authentication_error',
    'invalid_authentication_error',
    'permission_error',
    'permission_denied',
    'PERMISSION_DENIED',
    'UNAUTHENTICATED',
    'AccessDenied',
    'AccessDeniedException',
    'Model.AccessDenied',
    'UnrecognizedClientException',
    'InvalidSignatureException',
    'ExpiredTokenException',
    'unsupported_country_region_territory',
  ],
  'upstream-unknown-model': [
    'model_not_found',
    'model_not_found_error',
    'model_not_supported',
    'model_decommissioned',
    'invalid_model',
    'DeploymentNotFound',
  ],
  'content-filtered': [
    'content_filter',
    'content_filtered',
    'content_policy_violation',
    'ResponsibleAIPolicyViolation',
    'data_inspection_failed',
    'moderation_blocked',
  ],
}

/** Words too vague to say more than a status does. They count where no status tells: in an error inside a 200. */
const VAGUE_CODES: Readonly<Partial<Record<FaultName, readonly string[]>>> = {
  'upstream-refused-call': [
    'invalid_request_error',
    'invalid_request',
    'BadRequestError',
    'INVALID_ARGUMENT',
    'FAILED_PRECONDITION',
    'invalid_argument',
  ],
  'upstream-refused-key': ['unauthorized', 'forbidden', 'AuthenticationError'],
  'upstream-unknown-model': ['not_found_error', 'NotFoundError', 'NOT_FOUND', 'not_found'],
  'upstream-error': [
    'server_error',
    'api_error',
    'internal_error',
    'internal_server_error',
    'InternalServerError',
    'INTERNAL',
    'UNKNOWN',
    'DEADLINE_EXCEEDED',
    'provider_unavailable',
    'provider_error',
    'upstream_error',
    'timeout',
    'timeout_error',
  ],
}

interface Saying {
  readonly fault: FaultName
  readonly says: RegExp
  /** Whether the words mean that under this status. */
  readonly under: (status: number) => boolean
}

const notThrottled = (status: number) => status !== 401 && status !== 429
const aboutTheCall = (status: number) =>
  (status >= 200 && status < 300) || (status >= 400 && status < 500 && status !== 401 && status !== 429)
const whilstBusy = (status: number) => status < 300 || status === 429 || status >= 500
const always = () => true

/** In this order: context, quota, content, load. */
const SAYINGS: readonly Saying[] = [
  {
    fault: 'context-too-long',
    under: notThrottled,
    says: /maximum context length|exceeds? (?:the|this)(?: model'?s?)? context (?:window|length|size|limit)|exceed(?:s|ed)? (?:the )?(?:max(?:imum)? )?context (?:limit|length|window|size)|context_length_exceeded|prompt is too long|input is too long|input tokens exceeded|number of input tokens exceeds|too many input tokens|input token count.{0,80}exceeds the maximum number of tokens|reduce the length of the messages|maximum prompt length is|total length of all messages is too long|prompt too long|range of input length should be|exceeds the available context size|exceed_context_size|(?<!request )too large for model|prompt contains \d+ tokens|inputs? tokens \+ .?max_new_tokens|exceeded model token limit|too many tokens(?!.{0,40}(?:wait|per (?:day|minute)))/i,
  },
  {
    fault: 'upstream-quota-exhausted',
    under: status => status !== 404,
    says: /insufficient[ _](?:quota|balance|credits?|funds)|exceeded your current quota|credit balance is too low|(?:no|out of|not enough|requires more) credits\b|used all (?:of )?(?:your |its )?(?:available |monthly )?(?:included )?credits|(?:spend(?:ing)?|billing hard) limit|monthly included credits|tokens per day, please|calls? \/ month|payment required|account.{0,40}(?:overdue|in arrears)/i,
  },
  {
    fault: 'content-filtered',
    under: aboutTheCall,
    says: /content (?:management )?policy|content filter|content_policy_violation|responsible ai|rejected (?:as a result of|by) (?:our|the) safety|flagged (?:for|by|as)|data_?inspection_?failed|inappropriate content|unsafe or sensitive content|violat\w+ (?:our|the) usage (?:policy|policies|guidelines)/i,
  },
  { fault: 'upstream-overloaded', under: whilstBusy, says: /\boverloaded\b|at capacity and|capacity exceeded/i },
  // A file or an earlier response that is not there is the call's mistake, not the model's absence.
  {
    fault: 'upstream-refused-call',
    under: status => status === 404,
    says: /\bno such (?:file|response|batch)|\b(?:file|file_id|previous_response_id)\b.{0,80}not found/i,
  },
  { fault: 'upstream-rate-limited', under: always, says: /^rate limit (?:exceeded|reached)|^too many requests/i },
]

/** The fault that a code or type names; undefined where it names none, or where `withStatus` and it is vaguer than a status. */
export function faultOfCode(word: string | undefined, withStatus: boolean): FaultName | undefined {
  if (word === undefined) return undefined
  const plain = plainly(word)
  return STRONG.get(plain) ?? (withStatus ? undefined : VAGUE.get(plain))
}

/** The fault that a message describes in words known from some provider. */
export function faultOfMessage(message: string, status: number): FaultName | undefined {
  return SAYINGS.find(saying => saying.under(status) && saying.says.test(message))?.fault
}

/** The same word is written rate_limit_exceeded, RateLimitExceeded and rate-limit.exceeded. */
function plainly(word: string): string {
  return word.toLowerCase().replace(/[^a-z0-9]/g, '')
}

function byWord(table: Readonly<Partial<Record<FaultName, readonly string[]>>>): ReadonlyMap<string, FaultName> {
  const words = new Map<string, FaultName>()
  for (const fault in table) for (const word of table[fault as FaultName] ?? []) words.set(plainly(word), fault as FaultName)
  return words
}

const STRONG = byWord(CODES)
const VAGUE = byWord(VAGUE_CODES)
