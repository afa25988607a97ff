/* What of OpenAI's sampling Claude takes: models differ, and thinking restricts it further. */
import type { ChatBody } from '../../../core/chat.ts'
import type { Traits } from './models.ts'

export interface Sampling {
  /** By Anthropic's names. */
  readonly fields: { readonly temperature?: number; readonly top_p?: number; readonly top_k?: number }
  readonly leftOut: readonly string[]
}

export function samplingOf(body: ChatBody, traits: Traits, thinking: boolean): Sampling {
  const fields: { temperature?: number; top_p?: number; top_k?: number } = {}
  const leftOut: string[] = []
  const { temperature, top_p: topP } = body
  const topK = body.top_k
  const free = traits.sampling !== 'none' && !thinking
  if (typeof temperature === 'number') {
    // OpenAI's scale ends at 2, Anthropic's at 1. There, 1 is what a model does anyway.
    if (free) fields.temperature = Math.min(Math.max(temperature, 0), 1)
    else if (temperature !== 1) leftOut.push('temperature')
  }
  if (typeof topP === 'number') {
    const allowed = thinking
      ? traits.sampling !== 'none' && topP >= 0.95
      : free && (traits.sampling === 'free' || !('temperature' in fields))
    if (allowed) fields.top_p = topP
    else if (topP !== 1) leftOut.push('top_p')
  }
  if (typeof topK === 'number') {
    if (free) fields.top_k = topK
    else leftOut.push('top_k')
  }
  return { fields, leftOut }
}
