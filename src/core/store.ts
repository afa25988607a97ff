/*
 * What is remembered. Circuits, keys at rest, limits, budgets and cached answers are policies over this interface; the embedded store
 * and Redis pass one and the same suite. Every write of a count carries an id, so that a reply lost on the way neither doubles nor loses it.
 */

/** Something wanted from a limit. */
export type Want =
  /** At most `limit` in any `windowMs`: the window slides (the last window counts in proportion to what of it still lies inside). */
  | { readonly kind: 'rate'; readonly key: string; readonly amount: number; readonly limit: number; readonly windowMs: number }
  /**
   * At most `limit` holders at once. A holder that never settles (its process died) is forgotten after `ttlMs`. `alone`: how many while
   * this replica cannot ask for the others; its share of the limit when left out.
   */
  | { readonly kind: 'lease'; readonly key: string; readonly limit: number; readonly ttlMs: number; readonly alone?: number }
  /** At most `limit` until `key` expires; the period is part of the key. */
  | { readonly kind: 'sum'; readonly key: string; readonly amount: number; readonly limit: number; readonly ttlMs: number }

export type Taken =
  /** What remains of each want's limit, in the order of the wants. */
  | { readonly ok: true; readonly remaining: readonly number[] }
  /** `want` is the index of the first one that did not fit; `retryAfterMs` when it could. Nothing was taken of any. */
  | { readonly ok: false; readonly want: number; readonly retryAfterMs: number }

export interface Store {
  /** The values in the order of the keys; undefined where there is none, or where it has expired. */
  read(keys: readonly string[]): Promise<readonly (string | undefined)[]>
  write(key: string, value: string, ttlMs: number): Promise<void>
  /** Writes only where nothing is; true when it did. */
  claim(key: string, value: string, ttlMs: number): Promise<boolean>
  /** Adds to a counter that starts at 0 and expires `ttlMs` after its first addition; the new value. */
  add(key: string, amount: number, ttlMs: number): Promise<number>
  /**
   * Many limits, all or none, in one trip. `id` names the taker: the same id taken twice counts once. The keys of several wants carry one
   * and the same hash tag, such as `limit:{name}:rpm`, so that a Redis Cluster keeps them in one place; it throws when they do not.
   */
  take(id: string, wants: readonly Want[]): Promise<Taken>
  /** What was really used: each want with its final amount (0 gives all of it back). Leases are given back. Twice is once. */
  settle(id: string, wants: readonly Want[]): Promise<void>
  forget(keys: readonly string[]): Promise<void>
  /** Tells every replica, this one included. Best effort: who needs to be sure reads as well. */
  announce(topic: string, message: string): void
  /** Returns what stops the listening. */
  hear(topic: string, listener: (message: string) => void): () => void
  close(): Promise<void>
}
