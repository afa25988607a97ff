/*
 * Streams as providers sent them, for tests that damage them on the way: the project's own recordings and, where RECORDINGS names their
 * folder, those of real traffic. Only answers that are one text, whole.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Provider } from '../../src/core/provider.ts'
import { providers } from '../../src/providers/registry.ts'
import { readerOf } from '../providers/explained.ts'
import { type Recording, recordingsIn, see, streamOf } from '../providers/reading.ts'
import type { Written } from './wires/scene.ts'

export interface Recorded extends Written {
  readonly name: string
  /** The provider's type. */
  readonly type: string
  readonly text: string
  /** Whether there are no thoughts in it. */
  readonly isPlain: boolean
}

const OWN = fileURLToPath(new URL('../providers/recordings', import.meta.url))
const CONTENT_TYPES: Readonly<Record<Provider['framing'], string>> = {
  sse: 'text/event-stream',
  ndjson: 'application/x-ndjson',
  'aws-events': 'application/vnd.amazon.eventstream',
}
/** A million bytes of one answer would be all of the test's time. */
const MOST_BYTES = 64 * 1024

export function recordedStreams(): readonly Recorded[] {
  const own = all(OWN, (folder, { provider }) => providers.get(provider) ?? providers.get(folder))
  const real = process.env.RECORDINGS === undefined ? [] : all(process.env.RECORDINGS, readerOf)
  return [...own, ...real]
}

function all(root: string, providerOf: (folder: string, recording: Recording) => Provider | undefined): readonly Recorded[] {
  const folders = readdirSync(root, { withFileTypes: true }).filter(entry => entry.isDirectory())
  return folders.flatMap(({ name: folder }) =>
    recordingsIn(join(root, folder)).flatMap(recording => {
      const provider = providerOf(folder, recording)
      return provider === undefined ? [] : (recorded(`${folder}/${recording.file}`, provider, recording) ?? [])
    }),
  )
}

function recorded(name: string, provider: Provider, recording: Recording): Recorded | undefined {
  const bytes = recording.stream && recording.response.status === 200 ? streamOf(recording) : undefined
  if (bytes === undefined || bytes.length > MOST_BYTES) return undefined
  const { fault, malformed, text, tools, refusal, reasoning, finish, events } = see(provider, recording)
  const isOneText = events.every(event => !('choice' in event) || (event.choice === 0 && event.type !== 'extra-delta'))
  // An old API of Google's finished in every chunk: what was cut there looks whole to everybody.
  const finishesOnce = (bytes.toString('latin1').match(/"finishReason"/g) ?? []).length <= 1
  const isWhole = fault === undefined && malformed === 0 && finish === 'stop' && finishesOnce
  if (!isWhole || !isOneText || !text || (tools?.length ?? 0) > 0 || refusal) return undefined
  const contentType = CONTENT_TYPES[provider.framing]
  return { name, type: provider.name, text, isPlain: !reasoning, contentType, bytes }
}
