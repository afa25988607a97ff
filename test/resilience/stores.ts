/** Stores that fail in a known way, or remember what they were told. */
import type { Store } from '../../src/core/store.ts'

/** Every command rejects, and announcements go nowhere. */
export function deadStore(): Store {
  const away = () => Promise.reject(new Error('the store is away'))
  return {
    read: away,
    write: away,
    claim: away,
    add: away,
    take: away,
    settle: away,
    forget: away,
    announce() {},
    hear: () => () => {},
    close: away,
  }
}

/** Its announcements get lost. */
export const mute = (store: Store): Store => ({ ...store, announce() {} })

/** Its commands reject while `isAway` says so; what is heard is heard all the same. */
export function flaky(store: Store, isAway: () => boolean): Store {
  const dead = deadStore()
  return new Proxy(store, {
    get: (whole, name: keyof Store) => (isAway() && name !== 'hear' && name !== 'close' ? dead[name] : whole[name]),
  })
}

/** Keeps everything that was ever said to the store, as text. */
export function overheard(store: Store): { readonly store: Store; readonly said: () => string } {
  const lines: string[] = []
  const recording = new Proxy(store, {
    get: (whole, name: keyof Store) =>
      name === 'hear'
        ? whole.hear
        : (...words: unknown[]) => {
            lines.push(JSON.stringify([name, ...words]))
            return (whole[name] as (...words: unknown[]) => unknown)(...words)
          },
  })
  return { store: recording, said: () => lines.join('\n') }
}

/** A store whose announcements are delivered when the test says so, in the order that it says. */
export function slowPost(store: Store): {
  readonly store: Store
  readonly post: { topic: string; message: string }[]
  deliver(at: number): void
} {
  const post: { topic: string; message: string }[] = []
  return {
    store: { ...store, announce: (topic, message) => post.push({ topic, message }) },
    post,
    deliver(at) {
      const { topic, message } = post[at]!
      store.announce(topic, message)
    },
  }
}
