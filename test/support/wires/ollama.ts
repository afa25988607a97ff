/** Ollama's own chat: lines of JSON, calls without a reason to finish of their own. */
import { ARGUMENTS, INPUT_TOKENS, OUTPUT_TOKENS, type ProviderWire, problemOf, type Said, type Scene, sceneOf } from './scene.ts'

export const ollamaChat: ProviderWire = ({ path, body }) => {
  if (path !== '/api/chat') return { problem: `nothing is at ${path}` }
  const conversation = conversationOf(body)
  const problem = problemOf(conversation, /^.+$/)
  if (problem !== undefined) return { problem }
  const scene = sceneOf(
    conversation,
    (body.tools ?? []).map((tool: any) => tool.function.name),
  )
  const messages = messagesOf(scene)
  const line = (message: object, done: boolean) =>
    JSON.stringify({ model: body.model, created_at: '2026-03-01T12:00:00.000001Z', message, done, ...(done ? COUNTS : {}) })
  if (body.stream === false)
    return { contentType: 'application/json; charset=utf-8', bytes: line(messagesOf(scene, 1)[0]!, true) }
  const lines = [...messages.map(message => line(message, false)), line({ role: 'assistant', content: '' }, true)]
  return { contentType: 'application/x-ndjson', bytes: lines.map(text => `${text}\n`).join('') }
}

const COUNTS = {
  done_reason: 'stop',
  total_duration: 10,
  prompt_eval_count: INPUT_TOKENS,
  eval_count: OUTPUT_TOKENS,
}

function conversationOf({ messages }: any): readonly Said[] {
  return messages.flatMap((message: any): readonly Said[] => {
    const { role, content } = message
    if (typeof content !== 'string') return [{ kind: 'result', id: undefined, text: 'content that is no text' }]
    if (role === 'tool') return [{ kind: 'result', id: message.tool_call_id, name: message.tool_name, text: content }]
    const calls = (message.tool_calls ?? []).map((call: any) => ({
      kind: 'call',
      // Its arguments are an object, or the call is refused.
      id: typeof call.function.arguments === 'object' ? call.id : undefined,
      name: call.function.name,
    }))
    return [...(content === '' ? [] : [{ kind: 'text', by: role, text: content } as const]), ...calls]
  })
}

let calls = 0

/** @param most into how many messages the answer may be cut */
function messagesOf(scene: Scene, most = Number.POSITIVE_INFINITY): readonly object[] {
  if (scene.kind === 'text') {
    const texts = most === 1 ? [scene.text] : (scene.text.match(/.{1,20}/gsu) ?? [])
    return texts.map(content => ({ role: 'assistant', content }))
  }
  const made = scene.uses.map(({ name, index }) => ({
    id: `call_${(calls++).toString(36).padStart(8, '0')}`,
    function: { index, name, arguments: ARGUMENTS },
  }))
  if (most === 1) return [{ role: 'assistant', content: '', tool_calls: made }]
  return made.map(call => ({ role: 'assistant', content: '', tool_calls: [call] }))
}
