/** Gemini's generateContent, at AI Studio and at Vertex. */
import { ARGUMENTS, INPUT_TOKENS, OUTPUT_TOKENS, type ProviderWire, problemOf, type Said, type Scene, sceneOf } from './scene.ts'

export interface Place {
  /** Up to the colon before the method. */
  readonly path: string
  /** Whether calls and results may have ids; otherwise they must have none. */
  readonly ids: boolean
  /** Whether the first call of a turn must come back signed. */
  readonly signatures: boolean
}

export function google(place: Place): ProviderWire {
  return ({ path, body }) => {
    const stream = path === `${place.path}:streamGenerateContent?alt=sse`
    if (!stream && path !== `${place.path}:generateContent`) return { problem: `nothing is at ${path}` }
    const problem = turnsProblem(body.contents, place)
    if (problem !== undefined) return { problem }
    const conversation = conversationOf(body.contents, place.ids)
    const idProblem = problemOf(conversation, /^.+$/)
    if (idProblem !== undefined) return { problem: idProblem }
    const offered = (body.tools ?? []).flatMap(({ functionDeclarations = [] }) => functionDeclarations.map(({ name }) => name))
    const parts = partsOf(sceneOf(conversation, offered))
    if (!stream) return { contentType: 'application/json; charset=UTF-8', bytes: JSON.stringify(chunk(parts, true), null, 2) }
    const chunks = [...parts.map(part => chunk([part], false)), chunk([{ text: '' }], true)]
    return { contentType: 'text/event-stream', bytes: chunks.map(part => `data: ${JSON.stringify(part)}\r\n\r\n`).join('') }
  }
}

function turnsProblem(contents: readonly any[], place: Place): string | undefined {
  if (contents[0]?.role !== 'user') return 'the first turn is not the user’s'
  for (const { role, parts } of contents) {
    if (parts.length === 0) return 'a turn without parts'
    const calls = parts.filter((part: any) => 'functionCall' in part)
    if (calls.length > 0 && role !== 'model') return 'a call by the user'
    if (place.signatures && calls.length > 0 && calls[0].thoughtSignature === undefined) return 'a call without its signature'
    if (!place.ids && parts.some((part: any) => (part.functionCall ?? part.functionResponse)?.id !== undefined))
      return 'Unknown name "id"'
  }
  return undefined
}

/** Without ids, the results belong to the calls by their order. */
function conversationOf(contents: readonly any[], ids: boolean): readonly Said[] {
  let calls = 0
  let results = 0
  return contents.flatMap(({ role, parts }) =>
    parts.map((part: any): Said => {
      const { functionCall: call, functionResponse: response } = part
      if (call !== undefined) return { kind: 'call', id: ids ? call.id : `#${calls++}`, name: call.name }
      if (response !== undefined)
        return {
          kind: 'result',
          id: ids ? response.id : `#${results++}`,
          name: response.name,
          text: String(response.response.result),
        }
      return { kind: 'text', by: role === 'model' ? 'assistant' : 'user', text: part.text }
    }),
  )
}

function partsOf(scene: Scene): readonly object[] {
  if (scene.kind === 'text') {
    const middle = Math.ceil(scene.text.length / 2)
    return [{ text: scene.text.slice(0, middle) }, { text: scene.text.slice(middle) }]
  }
  return scene.uses.map(({ name, index }) => ({
    functionCall: { name, args: ARGUMENTS },
    ...(index === 0 ? { thoughtSignature: 'c2lnbmVkIGJ5IG5vYm9keQ==' } : {}),
  }))
}

let answers = 0

function chunk(parts: readonly object[], last: boolean): object {
  return {
    candidates: [{ content: { parts, role: 'model' }, ...(last ? { finishReason: 'STOP' } : {}), index: 0 }],
    usageMetadata: {
      promptTokenCount: INPUT_TOKENS,
      candidatesTokenCount: OUTPUT_TOKENS,
      totalTokenCount: INPUT_TOKENS + OUTPUT_TOKENS,
    },
    modelVersion: 'gemini',
    responseId: `response-${last ? answers++ : answers}`,
  }
}
