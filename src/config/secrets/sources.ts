/*
 * Where a value can come from when a string is `scheme:reference` as a whole: a source takes what stands after the colon and finds the
 * value. Its messages are for the operator's terminal and name the place, never what was found there.
 */
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { didYouMean } from '../suggest.ts'

export type Found = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly message: string }

/** Finds a value by what stands after the scheme. Never rejects. */
export type Source = (reference: string) => Promise<Found>

export type Environment = Readonly<Record<string, string | undefined>>

/** Schemes that are part of the configuration's language and have no source yet. */
export const SCHEMES_TO_COME = ['vault', 'aws-sm', 'gcp-sm', 'azure-kv'] as const

/** More than this is no secret but a wrong path. */
const LARGEST_FILE_BYTES = 65_536

const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

/** The variable's value, or why there is none. An empty variable is there; what to make of it is the caller's business. */
export function findVariable(name: string, env: Environment): Found {
  const text = env[name]
  if (text !== undefined) return { ok: true, text }
  return { ok: false, message: `the variable ${name} is not set${didYouMean(name, Object.keys(env))}` }
}

/** `folder`: what a relative file name is relative to. */
export function sources(env: Environment, folder: string): ReadonlyMap<string, Source> {
  return new Map<string, Source>([
    ['env', async name => fromVariable(name, env)],
    ['file', path => fromFile(resolve(folder, path))],
  ])
}

function fromVariable(name: string, env: Environment): Found {
  if (!VARIABLE_NAME.test(name)) {
    return { ok: false, message: 'what follows "env:" must be the name of a variable: letters, digits and "_"' }
  }
  const found = findVariable(name, env)
  // A key pasted here by mistake may look like a name; most names are in capitals, and keys are not.
  if (!found.ok && !/^[A-Z0-9_]+$/.test(name)) return { ok: false, message: 'the variable named here is not set' }
  return found.ok && found.text === '' ? { ok: false, message: `the variable ${name} is empty` } : found
}

async function fromFile(path: string): Promise<Found> {
  try {
    const text = await readSmall(path)
    if (text === undefined) return { ok: false, message: `${path} is not a plain file of at most 64 KB` }
    // Editors and `echo` end a file with a line break; no secret ends with one.
    const secret = text.replace(/[\r\n]+$/, '')
    return secret === '' ? { ok: false, message: `the file ${path} is empty` } : { ok: true, text: secret }
  } catch (error) {
    return { ok: false, message: `cannot read ${path}: ${whyUnreadable(error)}` }
  }
}

/** undefined for what is not a regular file (a device would never end) or too large. */
async function readSmall(path: string): Promise<string | undefined> {
  const file = await open(path)
  try {
    const facts = await file.stat()
    if (!facts.isFile() || facts.size > LARGEST_FILE_BYTES) return undefined
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/** The reason of a file system error in words, without the path. */
export function whyUnreadable(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'there is no such file',
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EISDIR: 'it is a folder',
    ENOTDIR: 'a part of its path is not a folder',
  }
  return reasons[code] ?? (code === '' ? 'it cannot be read' : code)
}
