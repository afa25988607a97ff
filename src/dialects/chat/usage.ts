/** Our disjoint counts as OpenAI's overlapping ones. */
import type { Usage } from '../../core/chat.ts'

/** Undefined when neither side of the count is known. */
export function openAIUsage(usage: Usage): Record<string, unknown> | undefined {
  const { input, cached, cacheWrite, output, reasoning } = usage
  if (input === undefined && output === undefined) return undefined
  const prompt = (input ?? 0) + (cached ?? 0) + (cacheWrite ?? 0)
  const completion = (output ?? 0) + (reasoning ?? 0)
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    ...((cached !== undefined || cacheWrite !== undefined) && {
      prompt_tokens_details: { cached_tokens: cached ?? 0, ...(cacheWrite !== undefined && { cache_write_tokens: cacheWrite }) },
    }),
    ...(reasoning !== undefined && { completion_tokens_details: { reasoning_tokens: reasoning } }),
  }
}
