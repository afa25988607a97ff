/*
 * Where an answer comes from: OpenAI's url_citation for each page. Google counts the place of a quotation in bytes, OpenAI in
 * characters, so the text is needed to tell one from the other; where it is not at hand, a citation has no place.
 */
import { asObject } from '../../core/json.ts'
import { objectsIn } from '../kit/lists.ts'

type Fields = Readonly<Record<string, unknown>>

/** @param text the whole answer of this choice, or undefined where it was not kept */
export function annotationsOf(
  grounding: Fields | undefined,
  citations: Fields | undefined,
  text: string | undefined,
): readonly Fields[] {
  const bytes = text === undefined ? undefined : Buffer.from(text)
  const sources = objectsIn(citations?.citationSources ?? citations?.citations)
  return [...grounded(grounding, bytes), ...sources.flatMap(source => annotation(source.uri, source.title, source, bytes))]
}

function grounded(grounding: Fields | undefined, bytes: Buffer | undefined): readonly Fields[] {
  const pages = objectsIn(grounding?.groundingChunks).map(
    chunk => asObject(chunk.web) ?? asObject(chunk.maps) ?? asObject(chunk.retrievedContext),
  )
  const supports = objectsIn(grounding?.groundingSupports)
  if (supports.length === 0) return pages.flatMap(page => annotation(page?.uri, page?.title, undefined, undefined))
  return supports.flatMap(support => {
    const indices: readonly unknown[] = Array.isArray(support.groundingChunkIndices) ? support.groundingChunkIndices : []
    const segment = asObject(support.segment)
    return indices.flatMap(index => {
      const page = pages[index as number]
      return annotation(page?.uri, page?.title, segment, bytes)
    })
  })
}

function annotation(uri: unknown, title: unknown, place: Fields | undefined, bytes: Buffer | undefined): readonly Fields[] {
  if (typeof uri !== 'string') return []
  const named = typeof title === 'string' && title !== '' ? title : uri
  return [{ type: 'url_citation', url_citation: { url: uri, title: named, ...placeIn(place, bytes) } }]
}

function placeIn(place: Fields | undefined, bytes: Buffer | undefined): Fields {
  const end = place?.endIndex
  const start = place?.startIndex ?? 0
  if (bytes === undefined || typeof start !== 'number' || typeof end !== 'number') return {}
  // A part other than the first has offsets of its own.
  if (typeof place?.partIndex === 'number' && place.partIndex > 0) return {}
  if (start < 0 || end < start || end > bytes.length) return {}
  return { start_index: charactersIn(bytes, start), end_index: charactersIn(bytes, end) }
}

function charactersIn(bytes: Buffer, end: number): number {
  return bytes.toString('utf8', 0, end).length
}
