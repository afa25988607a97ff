/*
 * The workers, all together. There are as many as are wanted: one that ends by itself is replaced, at once if it had worked for a while, and
 * after a pause that grows if they end one after the other. Connections go to each in turn, first to those that have taken what they were
 * given; where nobody is ready they wait.
 */
import type { Socket } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../telemetry/log.ts'
import { mergedSnapshot, type Snapshot } from '../../telemetry/snapshots.ts'
import { EXIT } from '../exit.ts'
import type { Ended, Member } from './member.ts'
import type { Answers, Question } from './messages.ts'

export interface Crew {
  /** Resolves when all are ready; rejects with the exit code of the first that ended before. */
  begin(): Promise<void>
  /** Whether there is one that takes connections. */
  isReady(): boolean
  give(socket: Socket): void
  askOne<Q extends Question>(question: Q): Promise<Answers[Q['of']] | undefined>
  /** The answers of those that gave one. */
  askAll<Q extends Question>(question: Q): Promise<readonly Answers[Q['of']][]>
  /** What all that there have been counted; states are those of the present. */
  snapshots(): Promise<readonly Snapshot[]>
  /** New workers in place of all that there are, one after the other. Resolves to false when one could not begin; the others stay. */
  roll(): Promise<boolean>
  /** Ends all of them; a second time: now. Resolves when they are gone. */
  stop(mostMs: number): Promise<void>
}

export interface CrewOptions {
  readonly size: number
  readonly clock: Clock
  readonly log: Log
  readonly enlist: () => Member
}

/** Who has worked for so long did not end because of how it began. */
const SETTLED_MS = 10_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 30_000
/** As many connections as a listener would let wait. */
const MOST_WAITING = 511

export function crew({ size, clock, log, enlist }: CrewOptions): Crew {
  const all = new Set<Member>()
  /** Those that take connections, and no others. */
  let ready: Member[] = []
  const leaving = new Set<Member>()
  /** Of those that are no more. */
  let past: Snapshot = []
  const waiting: Socket[] = []
  let turn = 0
  let quickEnds = 0
  let isStopping = false
  let rolling: Promise<unknown> = Promise.resolve()

  /** One more. Resolves when it is ready; to how it ended when it is not. */
  async function add(): Promise<Member | Ended> {
    const one = enlist()
    all.add(one)
    void one.stopping.then(() => part(one))
    void one.ended.then(ended => remove(one, ended))
    if (!(await one.ready)) return one.ended
    if (!isStopping) {
      ready.push(one)
      for (const socket of waiting.splice(0)) give(socket)
    }
    return one
  }

  /** It takes no connections any more; without having been told to, it needs somebody in its place. */
  function part(one: Member): void {
    if (isStopping || !ready.includes(one)) return
    ready = ready.filter(other => other !== one)
    leaving.add(one)
    replace(one)
  }

  function remove(one: Member, ended: Ended): void {
    part(one)
    ready = ready.filter(other => other !== one)
    all.delete(one)
    leaving.delete(one)
    past = mergedSnapshot([past, ended.counted], () => false)
    for (const socket of ended.left) give(socket)
    const { code, signal } = ended
    if (code !== 0 && !isStopping) log.error('worker ended', { worker: one.pid, code, signal })
  }

  function replace(ended: Member): void {
    quickEnds = clock.ticks() - ended.startedAtTicks < SETTLED_MS ? quickEnds + 1 : 0
    fillUp()
  }

  function fillUp(): void {
    const pauseMs = quickEnds === 0 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (quickEnds - 1))
    clock.after(pauseMs, async () => {
      if (isStopping) return
      const one = await add()
      if (isStopping) return
      if (!('code' in one)) return log.info('worker ready', { worker: one.pid })
      log.error('worker not ready', { code: one.code, signal: one.signal, remedy: 'it is tried again' })
      quickEnds++
      fillUp()
    })
  }

  function give(socket: Socket): void {
    if (socket.destroyed) return
    const from = turn++
    let best: Member | undefined
    for (let at = 0; at < ready.length; at++) {
      const one = ready[(from + at) % ready.length]!
      if (best === undefined || one.waiting() < best.waiting()) best = one
    }
    if (best !== undefined) return best.give(socket)
    if (waiting.length >= MOST_WAITING || (isStopping && all.size === 0)) return void socket.destroy()
    waiting.push(socket)
  }

  async function replaceEach(): Promise<boolean> {
    for (const old of [...ready]) {
      if (isStopping) return true
      const one = await add()
      if ('code' in one) {
        if (!isStopping)
          log.error('worker not ready', { code: one.code, signal: one.signal, remedy: 'the others stay as they were' })
        return false
      }
      // One that has ended meanwhile has been replaced already, and then the new one is one too many.
      const goes = ready.includes(old) ? old : one
      ready = ready.filter(other => other !== goes)
      leaving.add(goes)
      goes.tell('leave')
    }
    return true
  }

  return {
    async begin() {
      await Promise.all(
        Array.from({ length: size }, async () => {
          const one = await add()
          if (!('code' in one)) return
          // Why it could not begin has been said by the worker itself, unless it went in peace: then nobody has, and it must not look well.
          if (one.code === 0) log.error('worker not ready', { code: one.code, signal: one.signal })
          throw one.code || EXIT.software
        }),
      )
    },
    isReady: () => ready.length > 0 && !isStopping,
    give,
    async askOne(question) {
      return ready[0]?.ask(question)
    },
    async askAll(question) {
      const answers = await Promise.all(ready.map(one => one.ask(question)))
      return answers.filter(answer => answer !== undefined)
    },
    async snapshots() {
      const answers = await Promise.all([...all].map(async one => ({ one, snapshot: await one.ask({ of: 'metrics' }) })))
      // What one has counted that has ended meanwhile is in the past already.
      return [past, ...answers.flatMap(({ one, snapshot }) => (snapshot !== undefined && all.has(one) ? [snapshot] : []))]
    },
    roll() {
      const rolled = rolling.then(replaceEach)
      rolling = rolled
      return rolled
    },
    async stop(mostMs) {
      const kind = isStopping ? 'hurry' : 'stop'
      isStopping = true
      for (const one of all) {
        if (ready.includes(one) || leaving.has(one)) one.tell(kind)
        else one.kill()
      }
      const cancel = clock.after(mostMs, () => {
        for (const one of all) one.kill()
      })
      await Promise.all([...all].map(one => one.ended))
      cancel()
      for (const socket of waiting) socket.destroy()
    },
  }
}
