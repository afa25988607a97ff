/** One worker, as the primary sees it: a process that is asked, given connections, and told to end. */
import { fork } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { type Clock, systemClock } from '../../core/clock.ts'
import { counted, type Snapshot } from '../../telemetry/snapshots.ts'
import type { Answers, Question, Start, ToPrimary, ToWorker } from './messages.ts'

export interface Member {
  readonly pid: number | undefined
  readonly startedAtTicks: number
  /** Resolves when it takes connections; to false when it has ended before. */
  readonly ready: Promise<boolean>
  /** Resolves when it begins to end, whether it was told to or not. */
  readonly stopping: Promise<void>
  readonly ended: Promise<Ended>
  /** Connections that it has been given and has not taken yet. */
  waiting(): number
  /** Gives it a connection, which stays ours until it has taken it. */
  give(socket: Socket): void
  /** Undefined: it has ended without an answer, or had no time for one. */
  ask<Q extends Question>(question: Q, mostMs?: number): Promise<Answers[Q['of']] | undefined>
  /** Says it once, whatever has been said before. */
  tell(message: Extract<ToWorker, { kind: 'leave' | 'stop' | 'hurry' }>['kind']): void
  kill(): void
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** What it counted, as far as we know. */
  readonly counted: Snapshot
  /** Connections that it had not taken: others can have them. */
  readonly left: readonly Socket[]
}

const PROGRAM = fileURLToPath(new URL('worker.ts', import.meta.url))
/** A worker that is busy for so long has no part in an answer. */
const ANSWER_MS = 10_000

export interface MemberOptions {
  readonly start: Start
  /** Of its log: whole lines. */
  readonly onLines: (lines: string) => void
  readonly onApplied: (text: string) => void
  readonly clock?: Clock
}

export function member({ start, onLines, onApplied, clock = systemClock }: MemberOptions): Member {
  const child = fork(PROGRAM, [], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const given = new Map<number, Socket>()
  const asked = new Map<number, (answer: unknown) => void>()
  let lastId = 0
  let known: Snapshot = []
  const { promise: ready, resolve: beReady } = Promise.withResolvers<boolean>()
  const { promise: stopping, resolve: beStopping } = Promise.withResolvers<void>()
  passLines(child.stdout!, onLines)

  // What cannot be said to it any more is found out by its end.
  const send = (message: ToWorker, socket?: Socket) => {
    if (child.connected) child.send(message, socket, { keepOpen: true }, () => {})
  }

  child.on('message', (message: ToPrimary) => {
    switch (message.kind) {
      case 'ready':
        return beReady(true)
      case 'taken':
        given.get(message.id)?.destroy()
        return void given.delete(message.id)
      case 'answer':
        asked.get(message.id)?.(message.answer)
        return void asked.delete(message.id)
      case 'applied':
        return onApplied(message.text)
      case 'stopping':
        return beStopping()
      case 'counted':
        known = message.snapshot
    }
  })
  child.on('error', () => {})
  const ended = new Promise<Ended>(resolve =>
    child.once('close', (code, signal) => {
      beReady(false)
      beStopping()
      for (const answer of asked.values()) answer(undefined)
      resolve({ code, signal, counted: counted(known), left: [...given.values()] })
    }),
  )
  send(start)

  return {
    pid: child.pid,
    startedAtTicks: clock.ticks(),
    ready,
    stopping,
    ended,
    waiting: () => given.size,
    give(socket) {
      const id = ++lastId
      given.set(id, socket)
      send({ kind: 'connection', id }, socket)
    },
    ask<Q extends Question>(question: Q, mostMs = ANSWER_MS) {
      const id = ++lastId
      const { promise, resolve } = Promise.withResolvers<unknown>()
      asked.set(id, resolve)
      const cancel = clock.after(mostMs, () => {
        asked.delete(id)
        resolve(undefined)
      })
      if (child.connected) send({ kind: 'ask', id, question })
      else resolve(undefined)
      return promise.then(answer => {
        cancel()
        asked.delete(id)
        if (question.of === 'metrics' && answer !== undefined) known = answer as Snapshot
        return answer as Answers[Q['of']] | undefined
      })
    },
    tell: kind => send({ kind }),
    kill: () => void child.kill('SIGKILL'),
  }
}

/** A line is handed on when it is whole. */
function passLines(output: Readable, onLines: (lines: string) => void): void {
  let begun = ''
  output.setEncoding('utf8')
  output.on('data', (text: string) => {
    const end = text.lastIndexOf('\n') + 1
    if (end === 0) begun += text
    else {
      onLines(begun + text.slice(0, end))
      begun = text.slice(end)
    }
  })
}
