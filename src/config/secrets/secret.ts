/** A secret in memory: nothing that prints, logs or writes JSON shows it by accident; only `reveal` does, where it is needed. */
import { inspect } from 'node:util'

export interface Secret {
  /** The secret itself, for a header or a hash. */
  reveal(): string
  toString(): string
  toJSON(): string
}

const SHOWN = '[secret]'

export function secret(value: string): Secret {
  const hidden = {
    reveal: () => value,
    toString: () => SHOWN,
    toJSON: () => SHOWN,
    [inspect.custom]: () => SHOWN,
  }
  return Object.freeze(hidden)
}
