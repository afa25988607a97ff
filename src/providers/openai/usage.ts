/*
 * Token counts, out of everybody's version of OpenAI's `usage`. OpenAI counts cached input inside the prompt and reasoning inside the
 * completion; ours are disjoint. Some put the same number elsewhere, some count reasoning beside the completion, some send null, text
 * or negative numbers: only finite numbers from 0 are counts, and what was not told stays undefined, which is not zero.
 */
import type { Usage } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'

/**
 * The counts of a usage object; undefined when it holds none. `reasoningBeside`: where the total does not tell, reasoning is counted
 * beside `completion_tokens` and not inside.
 */
export function usageOf(value: unknown, reasoningBeside: boolean): Usage | undefined {
  const usage = asObject(value)
  if (usage === undefined) return undefined
  const ofPrompt =
    asObject(usage.prompt_tokens_details) ?? asObject(usage.prompt_token_details) ?? asObject(usage.input_tokens_details) ?? {}
  const ofCompletion = asObject(usage.completion_tokens_details) ?? asObject(usage.output_tokens_details) ?? {}
  const prompt = count(usage.prompt_tokens) ?? count(usage.input_tokens)
  const completion = count(usage.completion_tokens) ?? count(usage.output_tokens)
  const cachedTold =
    count(ofPrompt.cached_tokens) ??
    count(usage.prompt_cache_hit_tokens) ??
    count(usage.cached_tokens) ??
    count(usage.num_cached_tokens) ??
    count(usage.cache_read_input_tokens)
  const writtenTold =
    count(ofPrompt.cache_write_tokens) ?? count(ofPrompt.cache_creation_input_tokens) ?? count(usage.cache_creation_input_tokens)
  const reasoningTold = count(ofCompletion.reasoning_tokens) ?? count(usage.reasoning_tokens)

  // More cached than there was to read, and more thought than was said, has been seen; sums and prices must come out right all the same.
  const cached = atMost(cachedTold, prompt)
  const cacheWrite = atMost(writtenTold, prompt === undefined ? undefined : prompt - (cached ?? 0))
  const input = prompt === undefined ? undefined : prompt - (cached ?? 0) - (cacheWrite ?? 0)
  const beside = isBeside(prompt, completion, reasoningTold, count(usage.total_tokens)) ?? reasoningBeside
  const reasoning = beside ? reasoningTold : atMost(reasoningTold, completion)
  const output = completion === undefined || beside ? completion : completion - (reasoning ?? 0)

  if ((input ?? cached ?? cacheWrite ?? output ?? reasoning) === undefined) return undefined
  const found: { -readonly [Count in keyof Usage]: Usage[Count] } = {}
  if (input !== undefined) found.input = input
  if (cached !== undefined) found.cached = cached
  if (cacheWrite !== undefined) found.cacheWrite = cacheWrite
  if (output !== undefined) found.output = output
  if (reasoning !== undefined) found.reasoning = reasoning
  return found
}

/** Whether reasoning is counted beside the completion, as far as the total tells. */
function isBeside(
  prompt: number | undefined,
  completion: number | undefined,
  reasoning: number | undefined,
  total: number | undefined,
): boolean | undefined {
  if (prompt === undefined || completion === undefined || !reasoning || total === undefined || total < prompt + completion)
    return undefined
  return total >= prompt + completion + reasoning
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
}

function atMost(value: number | undefined, most: number | undefined): number | undefined {
  return value === undefined || most === undefined ? value : Math.min(value, most)
}
