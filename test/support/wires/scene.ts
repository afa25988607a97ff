/*
 * What a provider's stand-in does with a call: it reads the conversation in that provider's own shape, says what is wrong with it, and
 * chooses one of a few scenes. A call that offers tools and brings no results is answered with tool calls, one that brings results with
 * a quote of them, and any other with a sentence.
 */

/** A call as it arrived. */
export interface Received {
  readonly path: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: any
}

export interface Written {
  readonly contentType: string
  readonly bytes: string | Buffer
}

/** Answers a call; a text says why the provider would have refused it. */
export type ProviderWire = (call: Received) => Written | { readonly problem: string }

/** One thing that was said in a conversation, whatever the shape it was written in. */
export type Said =
  | { readonly kind: 'text'; readonly by: 'user' | 'assistant' | 'system'; readonly text: string }
  | { readonly kind: 'call'; readonly id: unknown; readonly name: unknown }
  | { readonly kind: 'result'; readonly id: unknown; readonly name?: unknown; readonly text: string }

export interface ToolUse {
  readonly name: string
  /** Which of the answer's calls it is. */
  readonly index: number
}

export type Scene =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'tools'; readonly uses: readonly ToolUse[] }

export const ANSWER = 'Grüße from the lighthouse: the lamp 🗼 turns every twelve seconds.'
export const ARGUMENTS = { city: 'Römö' } as const
export const INPUT_TOKENS = 21
export const OUTPUT_TOKENS = 9

/** What is to be answered, with as many calls as there are tools where the user asks for both. */
export function sceneOf(conversation: readonly Said[], offered: readonly string[]): Scene {
  const results = resultsAtTheEnd(conversation)
  if (results.length > 0) return { kind: 'text', text: `The tool returned: ${results.map(({ text }) => text).join('; ')}` }
  if (offered.length === 0) return { kind: 'text', text: ANSWER }
  const asked = conversation.findLast(said => said.kind === 'text' && said.by === 'user')
  const both = asked?.kind === 'text' && /\bboth\b/i.test(asked.text)
  return { kind: 'tools', uses: offered.slice(0, both ? 2 : 1).map((name, index) => ({ name, index })) }
}

function resultsAtTheEnd(conversation: readonly Said[]) {
  const before = conversation.findLastIndex(said => said.kind !== 'result')
  return conversation.slice(before + 1).filter(said => said.kind === 'result')
}

/**
 * What is wrong with the tool calls of a conversation, as strict providers see it: each call has its own legal id, and its result comes
 * before anything else is said.
 */
export function problemOf(conversation: readonly Said[], legal: RegExp): string | undefined {
  const waiting = new Map<unknown, unknown>()
  const used = new Set<unknown>()
  for (const said of conversation) {
    if (said.kind === 'call') {
      if (typeof said.id !== 'string' || !legal.test(said.id)) return `a call has the id ${JSON.stringify(said.id)}`
      if (used.has(said.id)) return `two calls have the id ${said.id}`
      used.add(said.id)
      waiting.set(said.id, said.name)
    } else if (said.kind === 'result') {
      if (!waiting.has(said.id)) return `a result has the id ${JSON.stringify(said.id)}, and no call before it waits for one`
      const name = waiting.get(said.id)
      if (said.name !== undefined && said.name !== name) return `the result of ${name} is said to be of ${said.name}`
      waiting.delete(said.id)
    } else if (waiting.size > 0) return `something is said while ${waiting.size} calls wait for their results`
  }
  return waiting.size > 0 ? `${waiting.size} calls have no result` : undefined
}
