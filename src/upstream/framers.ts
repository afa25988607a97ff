/** How streamed answers are cut into frames, by the names that providers use, and how a stream is known by its media type. */
import type { Provider } from '../core/provider.ts'
import { awsEventsCodec, awsEventsFramer } from './aws-events.ts'
import { type Framer, sseFramer } from './framing.ts'
import { ndjsonFramer } from './ndjson.ts'

export interface Framing {
  /** What an answer in this framing is declared as; in lower case, without parameters. */
  readonly mediaTypes: readonly string[]
  /** A framer for one answer. Some have to load a library first. */
  make(): Framer | Promise<Framer>
}

export const FRAMINGS: Readonly<Record<Provider['framing'], Framing>> = {
  sse: { mediaTypes: ['text/event-stream'], make: () => sseFramer() },
  ndjson: {
    mediaTypes: ['application/x-ndjson', 'application/ndjson', 'application/jsonl', 'application/x-jsonlines'],
    make: () => ndjsonFramer(),
  },
  'aws-events': {
    mediaTypes: ['application/vnd.amazon.eventstream'],
    make: async () => awsEventsFramer(await awsEventsCodec()),
  },
}

/**
 * The framing of an answer of this media type: the provider's own or server-sent events, which proxies put in the place of any other.
 * Undefined when it is no stream but a whole answer.
 */
export function framingOf(own: Provider['framing'], mediaType: string): Framing | undefined {
  return [FRAMINGS[own], FRAMINGS.sse].find(({ mediaTypes }) => mediaTypes.includes(mediaType))
}
