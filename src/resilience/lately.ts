/*
 * What is known under names that callers can make up. At least so many, those used last, are remembered, and at most twice as many. In two
 * generations, and not by moving every name to the end of a list: to find a name that is used often then changes nothing and allocates
 * nothing. (A Map that entries come to and go from all the time keeps growing new tables, and each leads the garbage collector to the next.)
 */

export interface Lately<Value> {
  /** Does not count as a use. */
  get(name: string): Value | undefined
  /** What is known under this name or, where nothing is, what `make` makes. */
  use(name: string, make: () => Value): Value
  delete(name: string): void
  names(): string[]
}

/** @param generation at least so many names are remembered */
export function lately<Value>(generation: number): Lately<Value> {
  let young = new Map<string, Value>()
  let old = new Map<string, Value>()
  return {
    get: name => young.get(name) ?? old.get(name),
    use(name, make) {
      const known = young.get(name)
      if (known !== undefined) return known
      const value = old.get(name) ?? make()
      if (young.size >= generation) {
        old = young
        young = new Map()
      }
      young.set(name, value)
      return value
    },
    delete(name) {
      young.delete(name)
      old.delete(name)
    },
    names: () => [...new Set([...young.keys(), ...old.keys()])],
  }
}
