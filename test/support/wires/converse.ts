/** Bedrock's Converse and ConverseStream. */
import { awsMessage } from '../../upstream/aws-message.ts'
import { ARGUMENTS, INPUT_TOKENS, OUTPUT_TOKENS, type ProviderWire, problemOf, type Said, type Scene, sceneOf } from './scene.ts'
import { textOf, turnProblem } from './simulated.ts'

const USAGE = { inputTokens: INPUT_TOKENS, outputTokens: OUTPUT_TOKENS, totalTokens: INPUT_TOKENS + OUTPUT_TOKENS }

export function converse(model: string): ProviderWire {
  const root = `/model/${encodeURIComponent(model)}`
  return ({ path, headers, body }) => {
    if (path !== `${root}/converse` && path !== `${root}/converse-stream`) return { problem: `nothing is at ${path}` }
    if (!String(headers.authorization).startsWith('Bearer ')) return { problem: 'no API key' }
    const conversation = conversationOf(body)
    const problem =
      turnProblem(body.messages) ?? problemOf(conversation, /^[a-zA-Z0-9_-]{1,64}$/) ?? undeclared(body, conversation)
    if (problem !== undefined) return { problem }
    const scene = sceneOf(
      conversation,
      (body.toolConfig?.tools ?? []).map((tool: any) => tool.toolSpec.name),
    )
    return path.endsWith('-stream')
      ? { contentType: 'application/vnd.amazon.eventstream', bytes: Buffer.concat([...eventsOf(scene)]) }
      : { contentType: 'application/json', bytes: JSON.stringify(wholeOf(scene)) }
  }
}

/** A conversation with calls in it needs the tools. */
function undeclared(body: any, conversation: readonly Said[]): string | undefined {
  const hasCalls = conversation.some(({ kind }) => kind !== 'text')
  return hasCalls && body.toolConfig === undefined ? 'The toolConfig field must be defined' : undefined
}

function conversationOf({ messages }: any): readonly Said[] {
  return messages.flatMap(({ role, content }: any) =>
    content.map((block: any): Said => {
      if (block.toolUse !== undefined) return { kind: 'call', id: block.toolUse.toolUseId, name: block.toolUse.name }
      if (block.toolResult !== undefined)
        return { kind: 'result', id: block.toolResult.toolUseId, text: textOf(block.toolResult.content) }
      return { kind: 'text', by: role, text: block.text }
    }),
  )
}

let uses = 0
const newId = () => `tooluse_${String(uses++).padStart(22, 'x')}`

function wholeOf(scene: Scene): object {
  const content =
    scene.kind === 'text'
      ? [{ text: scene.text }]
      : scene.uses.map(({ name }) => ({ toolUse: { toolUseId: newId(), name, input: ARGUMENTS } }))
  return {
    metrics: { latencyMs: 12 },
    output: { message: { role: 'assistant', content } },
    stopReason: scene.kind === 'text' ? 'end_turn' : 'tool_use',
    usage: USAGE,
  }
}

function* eventsOf(scene: Scene): Generator<Buffer> {
  yield event('messageStart', { role: 'assistant' })
  if (scene.kind === 'text') {
    for (const text of scene.text.match(/.{1,20}/gsu) ?? [])
      yield event('contentBlockDelta', { contentBlockIndex: 0, delta: { text } })
    yield event('contentBlockStop', { contentBlockIndex: 0 })
  } else {
    for (const { name, index } of scene.uses) {
      yield event('contentBlockStart', { contentBlockIndex: index, start: { toolUse: { toolUseId: newId(), name } } })
      for (const input of ['', ...(JSON.stringify(ARGUMENTS).match(/.{1,6}/gsu) ?? [])])
        yield event('contentBlockDelta', { contentBlockIndex: index, delta: { toolUse: { input } } })
      yield event('contentBlockStop', { contentBlockIndex: index })
    }
  }
  yield event('messageStop', { stopReason: scene.kind === 'text' ? 'end_turn' : 'tool_use' })
  yield event('metadata', { usage: USAGE, metrics: { latencyMs: 12 } })
}

function event(type: string, payload: object): Buffer {
  const headers = { ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' }
  return awsMessage(headers, JSON.stringify({ ...payload, p: 'abcdef' }))
}
