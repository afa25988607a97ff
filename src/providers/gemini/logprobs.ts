/** Google's log probabilities as OpenAI's. */
import { asObject } from '../../core/json.ts'

type Fields = Readonly<Record<string, unknown>>

/** OpenAI's `logprobs` of a choice; undefined when there are none. */
export function logprobsOf(result: Fields | undefined): Fields | undefined {
  const chosen = listOf(result?.chosenCandidates)
  if (chosen.length === 0) return undefined
  const tops = listOf(result?.topCandidates)
  return {
    content: chosen.map((token, index) => ({
      ...tokenOf(token),
      top_logprobs: listOf(asObject(tops[index])?.candidates).map(tokenOf),
    })),
    refusal: null,
  }
}

function tokenOf(candidate: unknown): Fields {
  const fields = asObject(candidate)
  const token = typeof fields?.token === 'string' ? fields.token : ''
  // Zero is left out in Google's JSON.
  const logprob = typeof fields?.logProbability === 'number' ? fields.logProbability : 0
  return { token, logprob, bytes: [...Buffer.from(token)] }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
