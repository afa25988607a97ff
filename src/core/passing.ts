/*
 * What is known by its name for as long as a call takes. A Map does that, too; but it makes itself a new table after every so many that came
 * and went, and leads the garbage collector from each table to the next: one that has come to the old space keeps all later ones, and
 * what was in them, until the next full collection. Here what has gone leads nowhere. With a client's limits in Redis that is 5 % of what
 * a call costs.
 */

interface Entry<Value> {
  readonly name: string
  readonly hash: number
  value: Value
  /** In the same bucket. */
  next: Entry<Value> | undefined
  older: Entry<Value> | undefined
  newer: Entry<Value> | undefined
}

const FEWEST_BUCKETS = 64
/** Names differ most at their ends, where they are counted. */
const HASHED = 8

export class Passing<Value> {
  private buckets: (Entry<Value> | undefined)[] = Array(FEWEST_BUCKETS).fill(undefined)
  private oldest: Entry<Value> | undefined
  private newest: Entry<Value> | undefined
  private count = 0

  size(): number {
    return this.count
  }

  get(name: string): Value | undefined {
    return this.find(name, hashOf(name))?.value
  }

  has(name: string): boolean {
    return this.find(name, hashOf(name)) !== undefined
  }

  set(name: string, value: Value): void {
    const hash = hashOf(name)
    const known = this.find(name, hash)
    if (known !== undefined) {
      known.value = value
      return
    }
    if (this.count === this.buckets.length) this.grow()
    const entry: Entry<Value> = { name, hash, value, next: undefined, older: this.newest, newer: undefined }
    if (this.newest === undefined) this.oldest = entry
    else this.newest.newer = entry
    this.newest = entry
    this.count++
    this.put(entry)
  }

  delete(name: string): void {
    const hash = hashOf(name)
    const at = hash & (this.buckets.length - 1)
    let before: Entry<Value> | undefined
    let entry = this.buckets[at]
    while (entry !== undefined && entry.name !== name) {
      before = entry
      entry = entry.next
    }
    if (entry === undefined) return
    if (before === undefined) this.buckets[at] = entry.next
    else before.next = entry.next
    if (entry.older === undefined) this.oldest = entry.newer
    else entry.older.newer = entry.newer
    if (entry.newer === undefined) this.newest = entry.older
    else entry.newer.older = entry.older
    this.count--
    // It may be in the old space already, and must keep nobody.
    entry.next = entry.older = entry.newer = undefined
  }

  /** The oldest first. The one that has been told last may be deleted meanwhile. */
  *[Symbol.iterator](): Generator<readonly [name: string, value: Value]> {
    let entry = this.oldest
    while (entry !== undefined) {
      const { newer } = entry
      yield [entry.name, entry.value]
      entry = newer
    }
  }

  private find(name: string, hash: number): Entry<Value> | undefined {
    let entry = this.buckets[hash & (this.buckets.length - 1)]
    while (entry !== undefined && entry.name !== name) entry = entry.next
    return entry
  }

  private put(entry: Entry<Value>): void {
    const at = entry.hash & (this.buckets.length - 1)
    entry.next = this.buckets[at]
    this.buckets[at] = entry
  }

  private grow(): void {
    this.buckets = Array(2 * this.buckets.length).fill(undefined)
    for (let entry = this.oldest; entry !== undefined; entry = entry.newer) this.put(entry)
  }
}

function hashOf(name: string): number {
  let hash = name.length
  for (let at = Math.max(0, name.length - HASHED); at < name.length; at++) hash = (hash * 31 + name.charCodeAt(at)) | 0
  return hash
}
