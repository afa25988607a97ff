/*
 * How an answer goes on after it broke off. `given` remembers what the client has; `continuation` reads the events of another answer and
 * lets through only what follows that, once all of it has been matched to the letter. Nothing is said twice, and nothing is said that
 * does not continue the text: at the first difference the other answer is of no use.
 *
 *   splice   the other answer was asked the same call: it has to begin with what the client has.
 *   prefill  it was handed the beginning: what it says follows, whether it repeats the beginning or not.
 *
 * Thoughts come before the text. While the client has thoughts only, they are matched as the text is; once it has text, the thoughts of
 * another answer lead to the same text and are left out.
 */
import type { RecoveryKind } from '../core/attempt.ts'
import type { ChatCall, ChatEvent } from '../core/chat.ts'

/** What a client has of an answer. */
export interface Had {
  readonly text: string
  readonly thoughts: string
  /** Whether the thoughts so far have been signed. */
  readonly signed: boolean
}

/** Remembers what a client is given of an answer. */
export interface Given {
  see(events: readonly ChatEvent[]): void
  /** Whether another answer can go on where this one stops: it holds text (or thoughts) of one choice, and nothing else that matters. */
  isContinuable(): boolean
  soFar(): Had
}

/** Characters. Longer than what models say at once; and what is kept for clients that stopped reading has to have an end. */
const MOST_KEPT = 400_000

/** Parts are joined when so many have come: a rope of thousands of small texts takes several times their memory. */
const JOINED = 64

class Gathering {
  private whole = ''
  private parts: string[] = []

  add(text: string): void {
    if (this.parts.push(text) >= JOINED) this.join()
  }

  join(): string {
    if (this.parts.length > 0) this.whole = [this.whole, ...this.parts].join('')
    this.parts = []
    return this.whole
  }

  forget(): void {
    this.whole = ''
    this.parts = []
  }
}

/** @param call calls for several choices, or for probabilities of tokens, give answers that nobody can continue */
export function given(call: ChatCall): Given {
  return new GivenSoFar(call)
}

class GivenSoFar implements Given {
  private readonly text = new Gathering()
  private readonly thoughts = new Gathering()
  private mayGoOn: boolean
  private signed = false
  private kept = 0

  constructor({ body }: ChatCall) {
    this.mayGoOn = (body.n ?? 1) === 1 && body.logprobs !== true && !body.top_logprobs
  }

  see(events: readonly ChatEvent[]): void {
    if (!this.mayGoOn) return
    for (const event of events) this.see1(event)
    if (this.mayGoOn) return
    this.text.forget()
    this.thoughts.forget()
  }

  isContinuable(): boolean {
    return this.mayGoOn
  }

  soFar(): Had {
    return { text: this.text.join(), thoughts: this.thoughts.join(), signed: this.signed }
  }

  private keep(to: Gathering, said: string): void {
    this.kept += said.length
    if (this.kept > MOST_KEPT) this.mayGoOn = false
    else to.add(said)
  }

  private see1(event: ChatEvent): void {
    switch (event.type) {
      case 'text-delta':
        if (event.choice === 0) this.keep(this.text, event.text)
        else this.mayGoOn = false
        break
      case 'reasoning-delta':
        this.keep(this.thoughts, event.text)
        this.signed = event.signature !== undefined
        break
      case 'tool-start':
      case 'refusal-delta':
      case 'finish':
        this.mayGoOn = false
        break
      case 'extra-delta':
        if (!isPassing(event.fields)) this.mayGoOn = false
    }
  }
}

/** Fields that say something about the text, not something beside it: an answer without them, or with them twice, is still the answer. */
const PASSING: ReadonlySet<string> = new Set(['annotations', 'citations', 'search_results', 'reasoning_details', 'role'])
const isPassing = (fields: Readonly<Record<string, unknown>>) => Object.keys(fields).every(name => PASSING.has(name))

export interface Continuation {
  /** What of these events goes to the client; undefined: they say something else than it has, and nothing after them counts. */
  take(events: readonly ChatEvent[]): readonly ChatEvent[] | undefined
  /** Whether all that the client has was matched: from now on everything follows it. */
  isMatched(): boolean
}

/** The same answer again, from its beginning. */
export function spliced(had: Had): Continuation {
  const { text, thoughts, signed } = had
  const hadText = text !== ''
  let textAt = 0
  let thoughtsAt = 0
  let differs = false

  const isMatched = () => (hadText ? textAt === text.length : thoughtsAt === thoughts.length)

  function takeText(event: ChatEvent & { type: 'text-delta' }): ChatEvent | undefined {
    if (!hadText && !isMatched()) return differ()
    const rest = matched(text, textAt, event.text)
    if (rest === undefined) return differ()
    textAt += event.text.length - rest.length
    return rest === '' ? undefined : { ...event, text: rest }
  }

  function takeThought(event: ChatEvent & { type: 'reasoning-delta' }): ChatEvent | undefined {
    if (hadText) return undefined
    const rest = matched(thoughts, thoughtsAt, event.text)
    if (rest === undefined) return differ()
    thoughtsAt += event.text.length - rest.length
    // A signature is of all the thoughts before it, which are the same; one of an earlier part has been given already.
    const fresh = event.signature !== undefined && isMatched() && (rest !== '' || !signed)
    if (fresh) return { ...event, text: rest }
    return rest === '' ? undefined : { type: 'reasoning-delta', choice: event.choice, text: rest }
  }

  function differ(): undefined {
    differs = true
    return undefined
  }

  function take1(event: ChatEvent): ChatEvent | undefined {
    switch (event.type) {
      case 'start':
        return undefined
      case 'usage':
        return event
      case 'text-delta':
        return event.choice === 0 ? takeText(event) : differ()
      case 'reasoning-delta':
        return takeThought(event)
      case 'extra-delta':
        return isMatched() ? event : undefined
      case 'refusal-delta':
        return differ()
      default:
        // A call or a finish before all was matched: it is a shorter answer, or another.
        return isMatched() ? event : differ()
    }
  }

  return {
    take(events) {
      const kept: ChatEvent[] = []
      for (const event of events) {
        const taken = take1(event)
        if (differs) return undefined
        if (taken !== undefined) kept.push(taken)
      }
      return kept
    },
    isMatched,
  }
}

/** What of `said` goes past the end of `had`, which was matched up to `at`; undefined when it says something else. */
function matched(had: string, at: number, said: string): string | undefined {
  const length = Math.min(had.length - at, said.length)
  if (length > 0 && !had.startsWith(said.slice(0, length), at)) return undefined
  return said.slice(length)
}

/** The beginning to hand on: without white space at its end, which some refuse and which tokens carry at their front. */
export const beginningOf = (text: string): string => text.trimEnd()

/** A beginning that comes back is told from a text that merely begins with the same letters by its length. */
const SURELY_ECHOED = 24

/**
 * What follows `beginningOf(text)`.
 * @param echoed whether the provider is known to say the beginning again
 */
export function prefilled(text: string, echoed: boolean): Continuation {
  const beginning = beginningOf(text)
  const space = text.slice(beginning.length)
  const mayEcho = echoed || beginning.length >= SURELY_ECHOED
  /** What has come and could still be the beginning said again. */
  let held: string | undefined = mayEcho ? '' : undefined
  /** How much of the white space that the client has already has come again. */
  let spaceAt = 0
  let hasText = false

  function follow(said: string): string {
    if (held === undefined) return afterSpace(said)
    held += said
    const length = Math.min(held.length, beginning.length)
    const repeats = held.startsWith(beginning.slice(0, length))
    if (repeats && held.length < beginning.length) return ''
    const rest = repeats ? held.slice(beginning.length) : held
    held = undefined
    return afterSpace(rest)
  }

  function afterSpace(said: string): string {
    let at = 0
    while (spaceAt < space.length && at < said.length && said[at] === space[spaceAt]) {
      at++
      spaceAt++
    }
    if (at < said.length) spaceAt = space.length
    return said.slice(at)
  }

  /** At the end of the answer, what was held back is known to be no repetition. */
  function letGo(): readonly ChatEvent[] {
    if (held === undefined || held === '') return []
    const rest = afterSpace(held)
    held = undefined
    return rest === '' ? [] : [{ type: 'text-delta', choice: 0, text: rest }]
  }

  function take1(event: ChatEvent): readonly ChatEvent[] | undefined {
    switch (event.type) {
      case 'start':
      case 'reasoning-delta':
        return []
      case 'text-delta': {
        if (event.choice !== 0) return undefined
        hasText = true
        const rest = follow(event.text)
        return rest === '' ? [] : [{ ...event, text: rest }]
      }
      case 'refusal-delta':
        return undefined
      case 'finish':
      case 'tool-start':
        return [...letGo(), event]
      default:
        return [event]
    }
  }

  return {
    take(events) {
      const kept: ChatEvent[] = []
      for (const event of events) {
        const taken = take1(event)
        if (taken === undefined) return undefined
        kept.push(...taken)
      }
      return kept
    },
    isMatched: () => held === undefined || !hasText,
  }
}

/** @param echoed of a prefill: whether the provider is known to say the beginning again */
export function continuation(kind: RecoveryKind, had: Had, echoed: boolean): Continuation {
  return kind === 'splice' ? spliced(had) : prefilled(had.text, echoed)
}
