/*
 * A hundred thousand recorded answers, each with several things gone wrong, over every provider: whatever comes over the wire, its framer and decoder
 * end in events or in a Fault, soon, and keep nothing. With RECORDINGS=DIR those of real traffic are damaged as well. A failure tells its
 * seed, and SEED repeats the run.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Fault } from '../../src/core/fault.ts'
import { tryParse } from '../../src/core/json.ts'
import type { Provider } from '../../src/core/provider.ts'
import { providers } from '../../src/providers/registry.ts'
import { type Chance, chance } from '../core/random.ts'
import { readerOf } from './explained.ts'
import { mutated } from './mutations.ts'
import { type Recording, recordingsIn, see, streamOf } from './reading.ts'

const INPUTS = 100_000
/** Done to one input, one on top of the other. */
const AT_ONCE = 4
const LONGEST_MS = 1_000
/** Of what is parsed at a time: longer recordings give a part of themselves. */
const LONGEST_BYTES = 2_048
const MAY_GROW_BYTES = 16 * 1024 * 1024

interface Subject {
  readonly name: string
  readonly provider: Provider
  readonly recording: Recording
}

function ownSubjects(): readonly Subject[] {
  return [...providers].flatMap(([name, provider]) =>
    recordingsIn(join(import.meta.dirname, 'recordings', name)).map(recording => ({
      name: `${name}/${recording.file}`,
      provider,
      recording,
    })),
  )
}

function realSubjects(folder: string): readonly Subject[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry =>
    entry.isDirectory()
      ? recordingsIn(join(folder, entry.name)).flatMap(recording => {
          const provider = readerOf(entry.name, recording)
          return provider === undefined ? [] : [{ name: `${entry.name}/${recording.file}`, provider, recording }]
        })
      : [],
  )
}

/** A part of the text that begins at a line. */
function part(text: string, luck: Chance): string {
  if (text.length <= LONGEST_BYTES) return text
  const from = luck.below(text.length - LONGEST_BYTES)
  const line = luck.below(2) === 0 ? 0 : text.indexOf('\n', from) + 1
  return text.slice(line, line + LONGEST_BYTES)
}

/** Bits turned, bytes gone, bytes twice. */
function mutatedBytes(bytes: Buffer, luck: Chance): Buffer {
  if (bytes.length === 0) return bytes
  const at = luck.below(bytes.length)
  const to = Math.min(bytes.length, at + 1 + luck.below(16))
  const kind = luck.below(4)
  if (kind === 0) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)])
  if (kind === 1) return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)])
  const changed = Buffer.from(bytes)
  changed[at] = kind === 2 ? changed[at]! ^ (1 << luck.below(8)) : luck.below(256)
  return changed
}

function cutBy(luck: Chance): (bytes: Buffer) => readonly Buffer[] {
  const most = luck.pick([8, 64, LONGEST_BYTES * 2])
  return bytes => {
    const pieces: Buffer[] = []
    for (let at = 0, to = 0; at < bytes.length; at = to) {
      to = at + 1 + luck.below(most)
      pieces.push(bytes.subarray(at, to))
    }
    return pieces
  }
}

/** One damaged input, as text to show when it goes wrong, and what to do with it. */
function trial({ provider, recording }: Subject, luck: Chance): { readonly input: string; run(): void } {
  const { response, stream } = recording
  if (!stream || response.status !== 200) {
    const text = damagedText(response.raw ?? JSON.stringify(response.body) ?? '', luck)
    return { input: text, run: () => decodeWhole(provider, recording, text) }
  }
  const cut = cutBy(luck)
  if (provider.framing !== 'aws-events') {
    const raw = damagedText(response.raw ?? '', luck)
    // Once more, after which it need not be UTF-8.
    const bytes = mutatedBytes(Buffer.from(raw), luck)
    const damaged = { ...recording, response: { status: 200, raw_base64: bytes.toString('base64') } }
    return { input: raw, run: () => seen(provider, damaged, cut) }
  }
  const { events } = response
  if (events !== undefined && luck.below(3) > 0) {
    // Inside the messages, whose frames stay whole.
    const odd = events.map(({ headers, payload }) => ({
      headers,
      payload: tryParse(mutated(JSON.stringify(payload ?? {}), luck)),
    }))
    const damaged = { ...recording, response: { status: 200, events: odd.slice(0, 1 + luck.below(odd.length)) } }
    return { input: JSON.stringify(odd), run: () => seen(provider, damaged, cut) }
  }
  let bytes = (streamOf(recording) ?? Buffer.alloc(0)).subarray(0, LONGEST_BYTES)
  for (let times = 0; times < AT_ONCE; times++) bytes = mutatedBytes(bytes, luck)
  const damaged = { ...recording, response: { status: 200, raw_base64: bytes.toString('base64') } }
  return { input: bytes.toString('base64'), run: () => seen(provider, damaged, cut) }
}

/** Half of the damage is done to what the text means, half to its bytes. */
function damagedText(text: string, luck: Chance): string {
  let damaged = part(text, luck)
  for (let times = 0; times < AT_ONCE / 2; times++) {
    damaged = mutatedBytes(Buffer.from(damaged), luck).toString()
    if (damaged !== '') damaged = mutated(damaged, luck)
  }
  return damaged
}

function seen(provider: Provider, recording: Recording, cut: (bytes: Buffer) => readonly Buffer[]): void {
  const { events } = see(provider, recording, cut)
  assert.ok(events.length <= LONGEST_BYTES * 8, 'no more events than there are bytes')
}

function decodeWhole(provider: Provider, { response: { status, headers = {} } }: Recording, text: string): void {
  const body = tryParse(text)
  assert.ok(provider.classify({ status, headers, body, text, receivedMs: 0 }) instanceof Fault)
  try {
    provider.decode(body)
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown
  }
}

function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}

test(`${INPUTS} damaged recorded answers are events or a fault, soon, and leave nothing behind`, context => {
  const folder = process.env.RECORDINGS
  const subjects = [...ownSubjects(), ...(folder === undefined ? [] : realSubjects(folder))]
  const byProvider = [...Map.groupBy(subjects, ({ provider }) => provider.name).values()]
  assert.equal(byProvider.length, providers.size)
  const luck = chance()
  context.diagnostic(`SEED=${luck.seed}`)
  let before = 0
  for (let times = 0; times < INPUTS; times++) {
    // Every provider as often as every other, however much of it was recorded. The first tenth fills caches and compiles.
    if (times === INPUTS / 10) before = heapBytes()
    const subject = luck.pick(byProvider[times % byProvider.length]!)
    const { input, run } = trial(subject, luck)
    const began = performance.now()
    try {
      run()
    } catch (thrown) {
      assert.fail(`SEED=${luck.seed}, input ${times}, ${subject.name}: ${(thrown as Error).stack}\n${input}`)
    }
    const tookMs = performance.now() - began
    assert.ok(tookMs < LONGEST_MS, `SEED=${luck.seed}, input ${times}, ${subject.name}: ${tookMs} ms\n${input}`)
  }
  const grownBytes = heapBytes() - before
  assert.ok(grownBytes < MAY_GROW_BYTES, `SEED=${luck.seed}: the heap grew by ${grownBytes} bytes`)
})
