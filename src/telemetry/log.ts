/** Logs: JSON lines by pino, written without holding anybody up. Only what is named here is written; there is no "log the object". */

import { type DestinationStream, destination, pino } from 'pino'
import { systemClock } from '../core/clock.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

export interface Log {
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
const GATHERED = 16_384
const WRITE_EVERY_MS = 200
/** More bytes than a batch can have: pino writes when we say so, never by itself. */
const NOT_BY_ITSELF = 4 * GATHERED

let stamped = { second: 0, text: '' }

/** The time as pino wants it; all but its milliseconds is put together once a second. */
function timestamp(): string {
  const now = systemClock.now()
  const ms = now % 1000
  if (now - ms !== stamped.second) stamped = { second: now - ms, text: `,"time":"${new Date(now).toISOString().slice(0, -4)}` }
  return `${stamped.text}${String(ms).padStart(3, '0')}Z"`
}

/** @param to where the lines go; standard output, a batch at a time, when left out */
export function log(level: LogLevel, to?: DestinationStream): Log {
  const batches = to === undefined ? gatheringOutput() : undefined
  const logger = pino({ level, base: null, timestamp }, to ?? batches!)
  return {
    debug: (message, fields = {}) => logger.debug(fields, message),
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
    setLevel(level) {
      logger.level = level
    },
    flush() {
      batches?.flush()
    },
  }
}

/**
 * Standard output, asynchronously. Lines are gathered here and not in pino's own buffer, which counts the bytes of all that it holds anew
 * at each line. What is left at the end goes there without starting a write, which the end of the process would overtake.
 */
function gatheringOutput(): DestinationStream & { flush(): void } {
  const output = destination({ sync: false, minLength: NOT_BY_ITSELF, maxWrite: 2 * NOT_BY_ITSELF })
  let gathered = ''
  const handOn = () => {
    const text = gathered
    gathered = ''
    if (text !== '') output.write(text)
  }
  const write = () => {
    handOn()
    output.flush()
  }
  const flush = () => {
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
