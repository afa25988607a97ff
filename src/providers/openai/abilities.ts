/* What a call can ask for that changes the answer's meaning: whoever cannot do it must not be asked, or would answer something else. */
import type { ChatBody } from '../../core/chat.ts'

const ASKS = {
  tools: body => isFilled(body.tools) || isFilled(body.functions) || body.messages.some(message => message.role === 'tool'),
  'more than one choice': body => typeof body.n === 'number' && body.n > 1,
  'log probabilities': body => body.logprobs === true || (typeof body.top_logprobs === 'number' && body.top_logprobs > 0),
  'audio output': body => Array.isArray(body.modalities) && body.modalities.includes('audio'),
  'JSON output': body => body.response_format?.type === 'json_object',
  'a JSON schema': body => body.response_format?.type === 'json_schema',
  'stop sequences': body => (typeof body.stop === 'string' && body.stop !== '') || isFilled(body.stop),
} as const satisfies Record<string, (body: ChatBody) => boolean>

export type Asked = keyof typeof ASKS

/** Why a provider that cannot do these things cannot take the call; undefined when it can. */
export function inability(body: ChatBody, cannot: readonly Asked[]): string | undefined {
  const missing = cannot.filter(thing => ASKS[thing](body))
  return missing.length === 0 ? undefined : `it cannot do ${missing.join(', ')}`
}

function isFilled(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0
}
