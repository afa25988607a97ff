/** Logs: JSON lines by pino, written without holding anybody up. Only what is named here is written; there is no "log the object". */
import { type DestinationStream, destination, pino } from 'pino'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

export interface Log {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
  /** Writes what is still in the buffer. */
  flush(): void
}

/** A line is written when so much has gathered, or at the next flush. */
const BUFFER_BYTES = 4_096
const FLUSH_EVERY_MS = 200

/** @param to where the lines go; standard output, buffered, when left out */
export function log(level: LogLevel, to?: DestinationStream): Log {
  const buffered = to === undefined ? destination({ sync: false, minLength: BUFFER_BYTES }) : undefined
  if (buffered !== undefined) setInterval(() => buffered.flush(), FLUSH_EVERY_MS).unref()
  const logger = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, to ?? buffered!)
  return {
    debug: (message, fields = {}) => logger.debug(fields, message),
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
    flush() {
      try {
        buffered?.flushSync()
      } catch {
        // Nobody reads our output any more; there is no one to tell.
      }
    },
  }
}
