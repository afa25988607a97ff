/*
 * What Bedrock's errors mean. They are exceptions with names, in a header, in the body or as the type of a frame in a stream; nearly
 * everything that is the call's own fault is a ValidationException, so its messages are asked before its name.
 */
import type { Fault } from '../../core/fault.ts'
import type { UpstreamFailure } from '../../core/provider.ts'
import { classifyBy, type Rule } from '../kit/failure.ts'

export const RULES: readonly Rule[] = [
  {
    status: [200, 400, 413, 424],
    message:
      /input is too long|prompt is too long|input tokens exceeded|exceeds? (?:the )?(?:maximum (?:context )?length|context)/i,
    fault: 'context-too-long',
  },
  // The words for a whole text that is too large, which no rule of ours for contexts has: 9 MB at most, whatever the model.
  { message: /too many total text bytes/i, fault: 'upstream-refused-call' },
  {
    message: /model identifier is invalid|on-demand throughput isn.t supported|reached the end of its life/i,
    fault: 'upstream-unknown-model',
  },
  // The account has no access to this one model, or not here, or not yet: its key is good for others.
  {
    message: /operation not allowed|access to the model|marketplace|use case details have not been submitted/i,
    fault: 'upstream-unknown-model',
  },
  { message: /tokens per day/i, fault: 'upstream-quota-exhausted' },
  { type: /^ServiceQuotaExceeded(Exception)?$/i, fault: 'upstream-quota-exhausted' },
  { type: /^Throttling(Exception)?$|^TooManyRequests(Exception)?$/i, fault: 'upstream-rate-limited' },
  { type: /^(ServiceUnavailable|ModelNotReady)(Exception)?$|^MPAgreementBeingCreated$/i, fault: 'upstream-overloaded' },
  {
    type: /^(AccessDenied|UnrecognizedClient|InvalidSignature|ExpiredToken|IncompleteSignature|MissingAuthenticationToken|OptInRequired|InvalidClientTokenId|RequestExpired)(Exception)?$/i,
    fault: 'upstream-refused-key',
  },
  { type: /^ResourceNotFound(Exception)?$|^FTUFormNotFilled$/i, fault: 'upstream-unknown-model' },
  {
    type: /^(InternalServer|InternalFailure|ModelError|ModelStreamError|ModelTimeout)(Exception|Error)?$/i,
    fault: 'upstream-error',
  },
  { type: /^(Validation|Conflict)(Exception|Error)?$/i, fault: 'upstream-refused-call' },
]

/** The fault behind an error answer. */
export function classify(failure: UpstreamFailure): Fault {
  return classifyBy(RULES, failure)
}

/**
 * The fault that an exception in a stream stands for.
 * @param name the type of the frame, as `throttlingException`
 */
export function exceptionOf(name: string, payload: Readonly<Record<string, unknown>>): Fault {
  const { originalMessage, originalStatusCode, message } = payload
  const said = [message, originalMessage].filter(text => typeof text === 'string' && text !== '').join(': ')
  const body = { __type: nameOfStatus(originalStatusCode) ?? name, message: said }
  return classify({ status: 200, headers: {}, body, text: JSON.stringify(body), receivedMs: 0 })
}

/** What the model behind had to say, where Bedrock only tells that there was something. */
function nameOfStatus(status: unknown): string | undefined {
  if (status === 429) return 'ThrottlingException'
  return status === 400 || status === 413 || status === 422 ? 'ValidationException' : undefined
}
