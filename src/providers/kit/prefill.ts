/*
 * Answers that have begun. What the client has of an answer already stands at the end of the conversation as the assistant's own words,
 * and the model goes on from there. That works for plain text alone: what is held to a grammar, or has to call a tool, would begin anew.
 */
import type { ChatBody, ChatCall, ChatMessage } from '../../core/chat.ts'
import { readToolChoice } from './tool-choice.ts'

/** What the client has of the answer; undefined where that is nothing, which no provider takes for a beginning. */
export function beginningOf({ prefill }: ChatCall): string | undefined {
  return prefill === '' ? undefined : prefill
}

/** The call's body, with what the client has of the answer as the last message. */
export function begun(call: ChatCall): ChatBody {
  const beginning = beginningOf(call)
  if (beginning === undefined) return call.body
  const message: ChatMessage = { role: 'assistant', content: beginning }
  return { ...call.body, messages: [...call.body.messages, message] }
}

/** Why no model can go on with the answer to this call; undefined when it has not begun, or when it can. */
export function whyNotBegun(call: ChatCall): string | undefined {
  if (beginningOf(call) === undefined) return undefined
  const { response_format: format, tool_choice: choice } = call.shape
  if (format?.type === 'json_object' || format?.type === 'json_schema') return 'the rest of an answer as JSON'
  return readToolChoice(choice).mode === 'required' ? 'the rest of an answer that has to call a tool' : undefined
}

/** The reason of a model that begins every answer anew. */
export const BEGINS_ANEW = 'the rest of an answer: this model begins anew'
