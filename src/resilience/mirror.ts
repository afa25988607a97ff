/*
 * What all replicas know together, kept at hand. Circuits and keys are asked for at every call and change rarely: so each replica holds
 * a copy that it can read without waiting. A change is written to the store and announced with its value; since announcements can be
 * lost, everything known is also read again every few seconds. A value that its owner forgot, or whose time ran out, disappears.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { asObject, tryParse } from '../core/json.ts'
import type { Store } from '../core/store.ts'

/** Names are any text (some are models that callers made up), values are JSON. */
export interface Mirror<Value> {
  get(name: string): Value | undefined
  /** Changes the value here at once and everywhere soon. Never throws, never waits; `undefined` forgets it. */
  set(name: string, value: Value | undefined, ttlMs: number): void
  /** Names worth reading again even while they have no value here. */
  watch(name: string): void
  close(): void
}

const REFRESH_EVERY_MS = 4_000
/** So many names are kept; of more, those that nobody has asked for longest are let go, and read again when they are asked for. */
const MOST_NAMES = 5_000

/**
 * @param topic the announcements' topic, and the prefix of the keys in the store
 * @param changed called after every change that came from another replica
 * @param isValue whether what was read is a value at all: a release before or after this one may have written the key
 */
export function mirror<Value>(
  store: Store,
  clock: Clock,
  topic: string,
  changed: (name: string, value: Value | undefined, before: Value | undefined) => void,
  isValue: (value: unknown) => value is Value,
): Mirror<Value> {
  const texts = new Map<string, string>()
  const values = new Map<string, Value>()
  const watched = new Set<string>()
  /** When each name was last changed here, so that a slow reading does not bring an old value back. */
  const changedAt = new Map<string, number>()
  let closed = false
  let stop = clock.after(REFRESH_EVERY_MS, refresh)

  // Our own announcements are passed by: one that arrives late would undo what we changed since.
  const ourselves = randomUUID()
  const unhear = store.hear(topic, message => {
    const { from, name, text } = asObject(tryParse(message)) ?? {}
    if (from === ourselves || typeof name !== 'string') return
    accept(name, typeof text === 'string' ? text : undefined)
  })

  function accept(name: string, text: string | undefined): void {
    if (texts.get(name) === text) return
    const before = values.get(name)
    remember(name, text)
    changed(name, values.get(name), before)
  }

  function watch(name: string): void {
    watched.delete(name)
    watched.add(name)
    if (watched.size <= MOST_NAMES) return
    const oldest = watched.values().next().value!
    for (const each of [watched, texts, values, changedAt]) each.delete(oldest)
  }

  function remember(name: string, text: string | undefined): void {
    // What is known is read again, or it would stay when its time in the store is over.
    watch(name)
    changedAt.set(name, clock.ticks())
    if (text === undefined) {
      texts.delete(name)
      values.delete(name)
      return
    }
    texts.set(name, text)
    const value = tryParse(text)
    // Somebody else wrote this key when it makes no sense; nothing is known, then.
    if (isValue(value)) values.set(name, value)
    else values.delete(name)
  }

  function refresh(): void {
    const names = [...watched]
    const askedAt = clock.ticks()
    const done = () => {
      if (!closed) stop = clock.after(REFRESH_EVERY_MS, refresh)
    }
    if (names.length === 0) return done()
    store
      .read(names.map(name => `${topic}:${name}`))
      .then(found => {
        for (const [at, name] of names.entries()) {
          if (watched.has(name) && (changedAt.get(name) ?? Number.NEGATIVE_INFINITY) < askedAt) accept(name, found[at])
        }
      })
      // A store that is away leaves the copy as it is: the calls go on from it.
      .catch(() => undefined)
      .finally(done)
  }

  return {
    get: name => values.get(name),
    set(name, value, ttlMs) {
      const text = value === undefined ? undefined : JSON.stringify(value)
      remember(name, text)
      const key = `${topic}:${name}`
      const written = text === undefined ? store.forget([key]) : store.write(key, text, ttlMs)
      written.catch(() => undefined)
      store.announce(topic, JSON.stringify({ from: ourselves, name, text }))
    },
    watch,
    close() {
      closed = true
      stop()
      unhear()
    },
  }
}
