/* Why an answer ended, in the many words that relatives of OpenAI have for it. */
import type { FinishReason } from '../../core/chat.ts'

const REASONS: ReadonlyMap<string, FinishReason> = new Map([
  ['length', 'length'],
  ['max_tokens', 'length'],
  ['model_length', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['tool_calls', 'tool_calls'],
  ['tool_call', 'tool_calls'],
  ['tool_use', 'tool_calls'],
  ['function_call', 'function_call'],
  ['content_filter', 'content_filter'],
  ['content_filtered', 'content_filter'],
  ['safety', 'content_filter'],
  ['refusal', 'content_filter'],
  ['sensitive', 'content_filter'],
])

/** These are no ends but failures, with the words that an error would have had. */
const FAILURES: ReadonlyMap<string, string> = new Map([
  ['error', 'server_error'],
  ['network_error', 'server_error'],
  ['insufficient_system_resource', 'server_overloaded'],
])

/** OpenAI's reason for a provider's word; every word not known to mean something else is a plain stop. */
export function finishReason(raw: string, calledTools: boolean): FinishReason {
  const reason = REASONS.get(raw.toLowerCase()) ?? 'stop'
  return reason === 'stop' && calledTools ? 'tool_calls' : reason
}

/** The error type that this finish stands for, where it is the provider's word that the answer failed. */
export function failureOfFinish(choice: Readonly<Record<string, unknown>>): string | undefined {
  return failureOf(choice.finish_reason) ?? failureOf(choice.native_finish_reason)
}

function failureOf(word: unknown): string | undefined {
  return typeof word === 'string' ? FAILURES.get(word) : undefined
}
