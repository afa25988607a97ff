/*
 * A worker: a gateway that listens nowhere. It is a program of its own, started by the primary, which tells it what to begin with. It ends
 * when it is told to, and when the primary is gone, for then nobody brings it calls any more.
 */
import type { Socket } from 'node:net'
import { dirname } from 'node:path'
import { parseConfig } from '../../config/load.ts'
import { available } from '../../providers/registry.ts'
import { failWith } from '../exit.ts'
import { type Instance, instance } from '../instance.ts'
import type { Answers, Question, Start, ToPrimary, ToWorker } from './messages.ts'

/** Resolves when it was sent, or cannot be. */
const tell = (message: ToPrimary) => new Promise<void>(resolve => process.send?.(message, () => resolve()))

async function begin({ file, env, version, text, listeningBy }: Start): Promise<Instance> {
  const parse = async (from: string) => {
    const loaded = await parseConfig(from, file, { env, available, folder: dirname(file) })
    return loaded.ok ? loaded.config : failWith(loaded.problems)
  }
  const config = await parse(text)
  const { server, admin } = listeningBy === text ? config : await parse(listeningBy)
  const started = {
    ...config,
    server: { ...config.server, listen: server.listen, workers: server.workers },
    admin: { ...config.admin, listen: admin.listen },
  }
  const worker: Instance = await instance({
    file,
    env,
    version,
    config,
    text,
    started,
    onApplied: applied => void tell({ kind: 'applied', text: applied }),
    onStopping: () => void tell({ kind: 'stopping' }),
    onStopped: async () => tell({ kind: 'counted', snapshot: await worker.metrics.snapshot() }),
  })
  await Promise.all([worker.server.app.ready(), worker.admin.ready()])
  return worker
}

async function answer({ admin, metrics, changes }: Instance, question: Question): Promise<Answers[Question['of']]> {
  switch (question.of) {
    case 'admin': {
      const { method, url, headers, body } = question
      const {
        statusCode,
        headers: said,
        payload,
      } = await admin.inject({ method, url, headers, ...(body !== undefined && { payload: body }) })
      return { status: statusCode, headers: said as Readonly<Record<string, string>>, body: payload }
    }
    case 'metrics':
      return metrics.snapshot()
    case 'reload': {
      const { result } = await changes.reload('signal')
      return { result, needsRestart: changes.configuration().needsRestart }
    }
  }
}

let begun: Promise<Instance> | undefined
let isStopping = false

async function hear(message: ToWorker, socket: Socket | undefined): Promise<void> {
  if (message.kind === 'start') {
    begun = begin(message)
    await begun
    return tell({ kind: 'ready' })
  }
  const worker = await begun!
  switch (message.kind) {
    case 'connection':
      // Undefined where the client has gone before it came to us.
      if (socket !== undefined) worker.server.take(socket)
      return tell({ kind: 'taken', id: message.id })
    case 'ask':
      return tell({ kind: 'answer', id: message.id, answer: await answer(worker, message.question) })
    case 'leave':
      return stop('leaving')
    case 'stop':
      return stop('told')
    case 'hurry':
      if (isStopping) return worker.stop(0)
  }
}

/** Once, whoever asks for it: a signal may come to all processes of a group, and from the primary besides. */
async function stop(manner: 'told' | 'leaving'): Promise<void> {
  if (isStopping || begun === undefined) return
  isStopping = true
  return (await begun).stop(0, manner)
}

process.on('message', (message: ToWorker, socket: Socket | undefined) => void hear(message, socket))
process.on('disconnect', () => void stop('told'))
process.on('SIGTERM', () => void stop('told'))
// These are for the primary, which passes on what they mean.
process.on('SIGINT', () => {})
process.on('SIGHUP', () => {})
