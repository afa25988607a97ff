/**
 * Logs: JSON lines as pino writes them, written without holding anybody up. Only what is named by whoever logs is written; there is no "log
 * the object". Every line goes through `redact` on its way out, a batch of them at a time.
 */

import { type DestinationStream, destination, levels } from 'pino'
import { systemClock } from '../core/clock.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

type Level = 'debug' | 'info' | 'warn' | 'error'

export interface Log {
  /** @param json the fields, as the JSON of an object */
  line(level: Level, message: string, json: string): void
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
  /** From now on this is the least that is written. */
  setLevel(level: LogLevel): void
  /** Writes what is still in the buffer. */
  flush(): void
}

/** Lines are written when so many characters have gathered, or so much time has passed. */
const GATHERED = 65_536
const WRITE_EVERY_MS = 200
/** More bytes than a batch can have: pino writes when we say so, never by itself. */
const NOT_BY_ITSELF = 4 * GATHERED

/** So long the last lines wait for an output that takes nothing. */
const LAST_LINES_MS = 500

let stamped = { second: 0, text: '' }

/** The time in ISO 8601; all but its milliseconds is put together once a second. */
function timestamp(): string {
  const now = systemClock.now()
  const ms = now % 1000
  if (now - ms !== stamped.second) stamped = { second: now - ms, text: new Date(now).toISOString().slice(0, -4) }
  return `${stamped.text}${String(ms).padStart(3, '0')}Z`
}

/**
 * @param redact takes the secrets out of the text of one or more lines
 * @param to where the lines go; standard output, a batch at a time, when left out
 */
export function log(level: LogLevel, redact: (lines: string) => string, to?: DestinationStream): Log {
  const batches = to === undefined ? gatheringOutput(redact) : undefined
  const output = batches ?? { write: (line: string) => to!.write(redact(line)) }
  let least = leastOf(level)

  function line(level: Level, message: string, json: string): void {
    const number = levels.values[level]!
    if (number < least) return
    const others = json.slice(1)
    output.write(
      `{"level":${number},"time":"${timestamp()}","msg":${JSON.stringify(message)}${others === '}' ? '' : ','}${others}\n`,
    )
  }

  /** All fields by one JSON.stringify: pino's logger writes them one by one, and its line is a rope of a hundred strings. */
  const writer =
    (level: Level): Log['info'] =>
    (message, fields = {}) =>
      levels.values[level]! >= least && line(level, message, JSON.stringify(fields))

  return {
    line,
    debug: writer('debug'),
    info: writer('info'),
    warn: writer('warn'),
    error: writer('error'),
    setLevel(next) {
      least = leastOf(next)
    },
    flush() {
      batches?.flush()
    },
  }
}

const leastOf = (level: LogLevel) => (level === 'silent' ? Number.POSITIVE_INFINITY : levels.values[level]!)

/**
 * Standard output, asynchronously. Lines are gathered here and not in pino's own buffer, which counts the bytes of all that it holds anew
 * at each line. What is left at the end goes there without starting a write, which the end of the process would overtake.
 */
export function gatheringOutput(redact: (lines: string) => string): DestinationStream & { flush(): void } {
  /** Until then an output that takes nothing is tried again. At the end that must not go on for ever: it holds the whole process up. */
  let givesUpAtTicks = Number.POSITIVE_INFINITY
  const retryEAGAIN = () => systemClock.ticks() < givesUpAtTicks
  const output = destination({ sync: false, minLength: NOT_BY_ITSELF, maxWrite: 2 * NOT_BY_ITSELF, retryEAGAIN })
  let gathered = ''
  const handOn = () => {
    const text = redact(gathered)
    gathered = ''
    if (text !== '') output.write(text)
  }
  const write = () => {
    handOn()
    output.flush()
  }
  const flush = () => {
    givesUpAtTicks = Math.min(givesUpAtTicks, systemClock.ticks() + LAST_LINES_MS)
    try {
      handOn()
      output.flushSync()
    } catch {
      // Nobody reads our output any more; there is no one to tell.
    }
  }
  setInterval(write, WRITE_EVERY_MS).unref()
  process.once('exit', flush)
  return {
    write(line) {
      gathered += line
      if (gathered.length >= GATHERED) write()
    },
    flush,
  }
}
