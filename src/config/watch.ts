/*
 * Tells of a file that has changed. It is looked at every half second, by its name: so it makes no difference whether an editor writes it
 * in place, puts another file in its place, or whether it is a symbolic link in a mounted volume whose target is exchanged, as Kubernetes
 * does; and file systems that report nothing are no exception. A change counts when the file has stayed as it is for a moment, or half a
 * file would be read.
 */
import { stat } from 'node:fs/promises'
import type { Clock } from '../core/clock.ts'

const LOOK_EVERY_MS = 500
const SETTLED_AFTER_MS = 100

/** @returns what stops the watching */
export function watchFile(file: string, clock: Clock, changed: () => void): () => void {
  let known: string | undefined
  let seen: string | undefined
  let isStopped = false
  let cancel = () => {}

  function later(ms: number): void {
    if (!isStopped) cancel = clock.after(ms, () => void look())
  }

  async function look(): Promise<void> {
    const now = await signature(file)
    const isSettled = now === seen
    seen = now
    if (now === known) return later(LOOK_EVERY_MS)
    if (!isSettled) return later(SETTLED_AFTER_MS)
    known = now
    if (!isStopped) changed()
    later(LOOK_EVERY_MS)
  }

  void signature(file).then(first => {
    known = first
    seen = first
    later(LOOK_EVERY_MS)
  })
  return () => {
    isStopped = true
    cancel()
  }
}

/** Of the file that the name leads to; `gone` where it leads to none. */
async function signature(file: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join(':')
  } catch {
    return 'gone'
  }
}
