/*
 * `RECORDINGS=DIR npm run recordings`: every recording of a chat API through the provider that speaks it, whole and cut into pieces, as a
 * table of providers and features. A recording stands under every feature that it shows. Exit 1 when one fails that nothing explains, 64
 * when there is nothing to read.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Provider } from '../../src/core/provider.ts'
import { CUTS } from './cuts.ts'
import { explained, faultExpected, readerOf } from './explained.ts'
import { type Recording, recordingsIn, type Seen, see } from './reading.ts'

/** A column: what came of the answer says whether it stands there, or, where that is not to be seen, the recording itself. */
interface Feature {
  readonly name: string
  readonly shown: (recording: Recording) => boolean
  readonly came?: (seen: Seen) => boolean
}

const tagged =
  (...tags: readonly string[]) =>
  (recording: Recording) =>
    tags.some(tag => recording.tags?.includes(tag))

const FEATURES: readonly Feature[] = [
  { name: 'text', shown: tagged('resp:text'), came: seen => (seen.text ?? seen.refusal) !== undefined },
  { name: 'stream', shown: ({ stream }) => stream },
  { name: 'tools', shown: tagged('resp:tool-calls'), came: seen => seen.tools !== undefined },
  { name: 'parallel tools', shown: tagged('resp:parallel-tool-calls'), came: seen => (seen.tools?.length ?? 0) > 1 },
  { name: 'tool results', shown: tagged('req:tool-result') },
  { name: 'reasoning', shown: tagged('resp:reasoning'), came: thought },
  { name: 'JSON schema', shown: tagged('req:json-schema') },
  { name: 'media', shown: tagged('req:image', 'req:document', 'req:audio') },
  { name: 'citations', shown: tagged('resp:citations') },
  { name: 'usage', shown: tagged('resp:usage'), came: seen => seen.usage !== undefined },
  { name: 'cached', shown: tagged('resp:cache-read-tokens'), came: seen => seen.usage?.cached !== undefined },
  { name: 'blocked', shown: tagged('resp:refusal', 'resp:safety-block') },
  { name: 'errors', shown: ({ error }) => error !== undefined },
]

/** Thoughts may be sealed: then there is no text of them, but something to send back. */
function thought({ events }: Seen): boolean {
  return events.some(
    event => event.type === 'reasoning-delta' || (event.type === 'extra-delta' && 'reasoning_details' in event.fields),
  )
}

/** What an answer with these tags must have said at the least. The tags were found by a rule that counts thoughts as text. */
const OWED: readonly (readonly [what: string, shown: (recording: Recording) => boolean, came: (seen: Seen) => boolean])[] = [
  ['text', tagged('resp:text'), seen => (seen.text ?? seen.refusal ?? seen.reasoning) !== undefined],
  ['tool call', tagged('resp:tool-calls'), seen => seen.tools !== undefined],
  ['reasoning', tagged('resp:reasoning'), thought],
  ['usage', tagged('resp:usage'), seen => seen.usage !== undefined],
]

interface Verdict {
  readonly name: string
  readonly provider: string
  readonly features: readonly string[]
  /** Why it is not what its tags say. */
  readonly because?: string
  /** What went wrong. */
  readonly failure?: string
}

function verdictOf(name: string, provider: Provider, recording: Recording): Verdict {
  const because = explained(name)?.because
  let seen: Seen | undefined
  let failure: string | undefined
  try {
    seen = see(provider, recording)
    failure = failureOf(name, provider, recording, seen)
  } catch (thrown) {
    failure = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
  }
  const answer = failure === undefined && seen?.fault === undefined ? seen : undefined
  const features = FEATURES.filter(({ shown, came }) => (answer && came ? came(answer) : shown(recording)))
  return {
    name,
    provider: provider.name,
    features: features.map(feature => feature.name),
    ...(because === undefined ? {} : { because }),
    ...(failure === undefined ? {} : { failure }),
  }
}

function failureOf(name: string, provider: Provider, recording: Recording, seen: Seen): string | undefined {
  const expected = faultExpected(name, recording)
  if (seen.fault !== expected) return `${seen.fault ?? 'an answer'} instead of ${expected ?? 'an answer'}: ${seen.detail ?? ''}`
  if (recording.stream) {
    for (const [manner, cut] of CUTS)
      if (!isDeepStrictEqual(see(provider, recording, cut), seen)) return `it reads otherwise ${manner}`
  }
  if (expected !== undefined) return undefined
  if (seen.malformed > 0) return `${seen.malformed} of its frames make no sense`
  if (seen.finish === undefined) return 'it does not finish'
  // Tools that the provider runs itself are not the client's to call.
  const ownTools = recording.tags?.includes('resp:server-tool-use') ?? false
  const missing = OWED.filter(([what, shown, came]) => shown(recording) && !came(seen) && !(ownTools && what === 'tool call'))
  return missing.length === 0 ? undefined : `there is no ${missing.map(([what]) => what).join(', no ')}`
}

/** Lines of cells in columns as wide as their widest cell. */
function columns(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, at) => Math.max(...lines.map(line => line[at]!.length)))
  return lines
    .map(line =>
      line
        .map((cell, at) => cell.padEnd(widths[at]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Decoded, and with a stroke the failed ones where there are any. */
function cell(verdicts: readonly Verdict[]): string {
  if (verdicts.length === 0) return '·'
  const failed = verdicts.filter(({ failure }) => failure !== undefined).length
  return failed === 0 ? String(verdicts.length) : `${verdicts.length - failed}/${failed} failed`
}

function printed(verdicts: readonly Verdict[], otherApis: ReadonlyMap<string, number>): string {
  const row = (name: string, own: readonly Verdict[]) => [
    name,
    cell(own),
    ...FEATURES.map(feature => cell(own.filter(({ features }) => features.includes(feature.name)))),
  ]
  const names = [...new Set(verdicts.map(({ provider }) => provider))].sort()
  const table = columns([
    ['provider', 'recordings', ...FEATURES.map(({ name }) => name)],
    ...names.map(name =>
      row(
        name,
        verdicts.filter(({ provider }) => provider === name),
      ),
    ),
    row('all', verdicts),
  ])
  const others = [...otherApis].sort().map(([api, count]) => `${api} ${count}`)
  const total = [...otherApis.values()].reduce((sum, count) => sum + count, 0)
  const lines = [table, '', `${total} are of no chat API that understudy speaks: ${others.join(', ')}`]
  const odd = verdicts.filter(({ failure, because }) => failure === undefined && because !== undefined)
  if (odd.length > 0)
    lines.push('', `${odd.length} are not what they are tagged as:`, ...odd.map(({ name, because }) => `  ${name}: ${because}`))
  const failed = verdicts.filter(({ failure }) => failure !== undefined)
  if (failed.length > 0) lines.push('', `${failed.length} failed:`, ...failed.map(({ name, failure }) => `  ${name}: ${failure}`))
  return lines.join('\n')
}

function run(folder: string | undefined): number {
  if (folder === undefined || !existsSync(folder)) {
    console.error('RECORDINGS has to name a folder of recorded traffic: RECORDINGS=DIR npm run recordings')
    return 64
  }
  const verdicts: Verdict[] = []
  const otherApis = new Map<string, number>()
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue
    for (const recording of recordingsIn(join(folder, entry.name))) {
      const provider = readerOf(entry.name, recording)
      if (provider === undefined) otherApis.set(recording.api, (otherApis.get(recording.api) ?? 0) + 1)
      else verdicts.push(verdictOf(`${entry.name}/${recording.file}`, provider, recording))
    }
  }
  if (verdicts.length === 0) {
    console.error(`there is no recording of a chat API in ${folder}`)
    return 64
  }
  console.log(printed(verdicts, otherApis))
  return verdicts.some(({ failure }) => failure !== undefined) ? 1 : 0
}

process.exitCode = run(process.env.RECORDINGS)
