/*
 * The file in which the embedded store keeps its sums: one table, written in batches. The journal is a write-ahead log that is not forced
 * to the disk at every batch: a process that is killed loses nothing of what it wrote, a machine that loses its power may lose the last
 * seconds. The file belongs to one process, which holds its lock as long as it lives.
 */
import { DatabaseSync } from 'node:sqlite'

export interface SumRow {
  readonly value: number
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

export interface SumsFile {
  /** All rows but those that have expired, which are deleted. */
  load(nowMs: number): readonly (SumRow & { readonly key: string })[]
  /**
   * Writes rows, and deletes those that are undefined; all or none. Never throws.
   * @returns false when it could not
   */
  save(rows: readonly { readonly key: string; readonly row: SumRow | undefined }[]): boolean
  close(): void
}

/** "usdy" in ASCII: says that the file is ours. */
const APPLICATION_ID = 0x75736479
const VERSION = 1

/**
 * Throws an Error whose message says what is wrong with the file and what to do.
 * @param path made when it does not exist; its folder must
 * @param onTrouble told when a batch could not be written, and (with undefined) when one could again
 */
export function sumsFile(path: string, onTrouble: (reason: string | undefined) => void): SumsFile {
  const database = opened(path)
  const all = database.prepare('SELECT key, value, expires_at AS expiresAt FROM sums')
  const put = database.prepare('INSERT OR REPLACE INTO sums (key, value, expires_at) VALUES (?, ?, ?)')
  const remove = database.prepare('DELETE FROM sums WHERE key = ?')
  let inTrouble = false

  function save(rows: Parameters<SumsFile['save']>[0]): boolean {
    try {
      database.exec('BEGIN')
      for (const { key, row } of rows) {
        if (row === undefined) remove.run(key)
        else put.run(key, row.value, row.expiresAt)
      }
      database.exec('COMMIT')
      if (inTrouble) onTrouble(undefined)
      inTrouble = false
      return true
    } catch (thrown) {
      if (database.isTransaction) database.exec('ROLLBACK')
      if (!inTrouble) onTrouble((thrown as Error).message)
      inTrouble = true
      return false
    }
  }

  return {
    load(nowMs) {
      database.prepare('DELETE FROM sums WHERE expires_at <= ?').run(nowMs)
      return all.all() as unknown as readonly (SumRow & { readonly key: string })[]
    },
    save,
    close: () => database.close(),
  }
}

function opened(path: string): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: 0 })
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
    // The first writing transaction takes the lock for good.
    database.exec('BEGIN IMMEDIATE')
    const told = (pragma: string) => Number(Object.values(database!.prepare(`PRAGMA ${pragma}`).get()!)[0])
    const isNew = database.prepare('SELECT 1 FROM sqlite_master').get() === undefined
    if (!isNew && told('application_id') !== APPLICATION_ID)
      throw new Error('it is the database of another program; name another file')
    if (told('user_version') > VERSION)
      throw new Error('a later version of understudy wrote it; name another file, or run that version')
    database.exec(`
      CREATE TABLE IF NOT EXISTS sums (key TEXT PRIMARY KEY, value REAL NOT NULL, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
      PRAGMA application_id = ${APPLICATION_ID};
      PRAGMA user_version = ${VERSION};
      COMMIT`)
    return database
  } catch (thrown) {
    database?.close()
    throw new Error(`${path}: ${reasonOf(thrown as Error & { errcode?: number })}`)
  }
}

/** SQLite's result codes, without their extensions. */
const BUSY = 5
const CANNOT_OPEN = 14
const NOT_A_DATABASE = 26
const CORRUPT = 11

function reasonOf({ message, errcode }: Error & { errcode?: number }): string {
  switch (errcode === undefined ? undefined : errcode & 0xff) {
    case BUSY:
      return 'another process uses it; each gateway needs a file of its own'
    case CANNOT_OPEN:
      return 'it cannot be opened; its folder must exist, and this user must be able to write there'
    case NOT_A_DATABASE:
    case CORRUPT:
      return `it is damaged or no database (${message}); move it away to start anew`
    default:
      return message
  }
}
