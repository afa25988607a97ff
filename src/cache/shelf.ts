/*
 * Where answers lie: in this process, the ones that nobody has asked for longest making room for new ones, or in the store that all
 * replicas share. Both know texts only. Trouble with a shelf is an answer that is not there, never an error.
 */
import type { Clock } from '../core/clock.ts'
import type { Store } from '../core/store.ts'

export interface Shelf {
  /** Never rejects. */
  take(key: string): string | undefined | Promise<string | undefined>
  /** Never throws, never waits. */
  put(key: string, text: string, ttlMs: number): void
}

interface Place {
  readonly bytes: Buffer
  readonly expiresAt: number
}

/** What a place costs beside its bytes: its key, and the tables that know it. */
const PLACE_BYTES = 256

/** @param maxBytes all texts together, as UTF-8 */
export function memoryShelf(clock: Clock, maxBytes: number): Shelf {
  // The order of a Map is the order of use: what is taken is put at its end again.
  const places = new Map<string, Place>()
  let used = 0

  function drop(key: string, { bytes }: Place): void {
    places.delete(key)
    used -= bytes.length + PLACE_BYTES
  }

  return {
    take(key) {
      const place = places.get(key)
      if (place === undefined) return undefined
      if (place.expiresAt <= clock.now()) {
        drop(key, place)
        return undefined
      }
      places.delete(key)
      places.set(key, place)
      return place.bytes.toString('utf8')
    },
    put(key, text, ttlMs) {
      const before = places.get(key)
      if (before !== undefined) drop(key, before)
      // Outside of V8's heap, and exactly as many as are counted.
      const bytes = Buffer.from(text)
      if (bytes.length + PLACE_BYTES > maxBytes) return
      for (const [oldest, place] of places) {
        if (used + bytes.length + PLACE_BYTES <= maxBytes) break
        drop(oldest, place)
      }
      places.set(key, { bytes, expiresAt: clock.now() + ttlMs })
      used += bytes.length + PLACE_BYTES
    },
  }
}

/** A read takes as long as the store lets it; a write is on its way when it returns. */
export function storeShelf(store: Store): Shelf {
  const named = (key: string) => `answer:${key}`
  return {
    take: key =>
      store.read([named(key)]).then(
        ([text]) => text,
        () => undefined,
      ),
    put(key, text, ttlMs) {
      store.write(named(key), text, ttlMs).catch(() => undefined)
    },
  }
}
