/*
 * What all replicas know together, kept at hand. Circuits and keys are asked for at every call and change rarely: so each replica holds
 * a copy that it can read without waiting. A change is written to the store and announced with its value; since announcements can be
 * lost, everything known is also read again every few seconds. A value that its owner forgot, or whose time ran out, disappears.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { asObject, tryParse } from '../core/json.ts'
import type { Store } from '../core/store.ts'
import { lately } from './lately.ts'

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
/** At least so many names are kept; of more, those that nobody has asked for longest are let go, and read again when they are asked for. */
const FEWEST_NAMES = 2_500

interface Known<Value> {
  /** The value as it is in the store. */
  text: string | undefined
  value: Value | undefined
  /** When it was last changed here, so that a slow reading does not bring an old value back. */
  changedTicks: number
}

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
  const known = lately<Known<Value>>(FEWEST_NAMES)
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
    const before = known.get(name)
    if (before?.text === text) return
    const valueBefore = before?.value
    changed(name, remember(name, text).value, valueBefore)
  }

  function remember(name: string, text: string | undefined): Known<Value> {
    // What is known is read again, or it would stay when its time in the store is over.
    const own = known.use(name, nothing)
    const value = text === undefined ? undefined : tryParse(text)
    own.text = text
    // Somebody else wrote this key when it makes no sense; nothing is known, then.
    own.value = isValue(value) ? value : undefined
    own.changedTicks = clock.ticks()
    return own
  }

  function refresh(): void {
    const names = known.names()
    const askedAt = clock.ticks()
    const done = () => {
      if (!closed) stop = clock.after(REFRESH_EVERY_MS, refresh)
    }
    if (names.length === 0) return done()
    store
      .read(names.map(name => `${topic}:${name}`))
      .then(found => {
        for (const [at, name] of names.entries()) {
          const own = known.get(name)
          if (own !== undefined && own.changedTicks < askedAt) accept(name, found[at])
        }
      })
      // A store that is away leaves the copy as it is: the calls go on from it.
      .catch(() => undefined)
      .finally(done)
  }

  return {
    get: name => known.get(name)?.value,
    set(name, value, ttlMs) {
      const text = value === undefined ? undefined : JSON.stringify(value)
      remember(name, text)
      const key = `${topic}:${name}`
      const written = text === undefined ? store.forget([key]) : store.write(key, text, ttlMs)
      written.catch(() => undefined)
      store.announce(topic, JSON.stringify({ from: ourselves, name, text }))
    },
    watch: name => void known.use(name, nothing),
    close() {
      closed = true
      stop()
      unhear()
    },
  }
}

const nothing = () => ({ text: undefined, value: undefined, changedTicks: Number.NEGATIVE_INFINITY })
