/*
 * Citations as OpenAI's annotations. OpenAI has a place for pages only: a source with an address is a url_citation, anything else (a
 * document of the call, the result of a tool) an annotation of Cohere's own type that holds the citation as it came.
 */
import { asObject } from '../../core/json.ts'

type Fields = Readonly<Record<string, unknown>>

/** The annotations for one citation: one for each page, or one for all other sources together. */
export function annotationsOf(citation: Fields | undefined): readonly Fields[] {
  if (citation === undefined) return []
  // Those of plans and thoughts count from the beginning of a text that is not the answer.
  const ofAnswer = citation.type === undefined || citation.type === 'TEXT_CONTENT'
  const sources: readonly unknown[] = Array.isArray(citation.sources) ? citation.sources : []
  const pages = ofAnswer ? sources.flatMap(source => pageOf(asObject(source)) ?? []) : []
  if (pages.length === 0) return [{ type: 'document_citation', document_citation: citation }]
  const { start, end } = citation
  const place = typeof start === 'number' && typeof end === 'number' ? { start_index: start, end_index: end } : {}
  return pages.map(page => ({ type: 'url_citation', url_citation: { ...place, ...page } }))
}

/** A document with an address. */
function pageOf(source: Fields | undefined): { readonly url: string; readonly title: string } | undefined {
  const { url, title } = asObject(source?.document) ?? asObject(source?.tool_output) ?? {}
  if (typeof url !== 'string' || url === '') return undefined
  return { url, title: typeof title === 'string' && title !== '' ? title : url }
}
