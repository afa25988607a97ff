/** Cohere's v2 chat. */
import { ARGUMENTS, INPUT_TOKENS, OUTPUT_TOKENS, type ProviderWire, problemOf, type Scene, sceneOf } from './scene.ts'
import { openAIConversation } from './simulated.ts'

const USAGE = {
  billed_units: { input_tokens: 3, output_tokens: OUTPUT_TOKENS },
  tokens: { input_tokens: INPUT_TOKENS, output_tokens: OUTPUT_TOKENS },
}

export const cohereChat: ProviderWire = ({ path, body }) => {
  if (path !== '/v2/chat') return { problem: `nothing is at ${path}` }
  const conversation = openAIConversation(body)
  const silent = body.messages.some(
    ({ role, content, tool_calls: calls }: any) => role === 'assistant' && !content && calls === undefined,
  )
  const problem = silent ? 'an assistant who says nothing' : problemOf(conversation, /^.+$/)
  if (problem !== undefined) return { problem }
  const scene = sceneOf(
    conversation,
    (body.tools ?? []).map((tool: any) => tool.function.name),
  )
  if (!body.stream) return { contentType: 'application/json', bytes: JSON.stringify(wholeOf(scene)) }
  const events = [...eventsOf(scene)].map(event => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  return { contentType: 'text/event-stream', bytes: `${events.join('')}data: [DONE]\n\n` }
}

let calls = 0
const newId = (name: string) => `${name}_${(calls++).toString(36).padStart(12, '0')}`

function wholeOf(scene: Scene): object {
  const message =
    scene.kind === 'text'
      ? { role: 'assistant', content: [{ type: 'text', text: scene.text }] }
      : {
          role: 'assistant',
          tool_plan: 'I will look.',
          tool_calls: scene.uses.map(({ name }) => ({
            id: newId(name),
            type: 'function',
            function: { name, arguments: JSON.stringify(ARGUMENTS) },
          })),
        }
  return { id: 'c-1', message, finish_reason: scene.kind === 'text' ? 'COMPLETE' : 'TOOL_CALL', usage: USAGE }
}

type Event = { readonly type: string; readonly [field: string]: unknown }

function* eventsOf(scene: Scene): Generator<Event> {
  yield {
    id: 'c-1',
    type: 'message-start',
    delta: { message: { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] } },
  }
  if (scene.kind === 'text') {
    yield { type: 'content-start', index: 0, delta: { message: { content: { type: 'text', text: '' } } } }
    for (const text of scene.text.match(/.{1,20}/gsu) ?? [])
      yield { type: 'content-delta', index: 0, delta: { message: { content: { text } } } }
    yield { type: 'content-end', index: 0 }
  } else {
    yield { type: 'tool-plan-delta', delta: { message: { tool_plan: 'I will look.' } } }
    for (const { name, index } of scene.uses) {
      const start = { id: newId(name), type: 'function', function: { name, arguments: '' } }
      yield { type: 'tool-call-start', index, delta: { message: { tool_calls: start } } }
      for (const json of JSON.stringify(ARGUMENTS).match(/.{1,6}/gsu) ?? [])
        yield { type: 'tool-call-delta', index, delta: { message: { tool_calls: { function: { arguments: json } } } } }
      yield { type: 'tool-call-end', index }
    }
  }
  yield { type: 'message-end', delta: { finish_reason: scene.kind === 'text' ? 'COMPLETE' : 'TOOL_CALL', usage: USAGE } }
}
