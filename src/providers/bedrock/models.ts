/*
 * What the families of models behind Converse accept. The API is one, the models are many, and each refuses with 400 what it does not
 * know. The table is data that ages: a model that it does not name (an application inference profile has an ARN that tells nothing) counts
 * as able to do what the API has, save what only some are known to take.
 */
import { type Traits as Claude, traitsOf as claudeOf } from '../kit/claude/models.ts'

export interface Traits {
  /** Present when the model is a Claude, with what its generation accepts. */
  readonly claude?: Claude
  /** Whether it has a place for instructions; elsewhere they begin the first message. */
  readonly system: boolean
  readonly tools: boolean
  /** Whether it streams answers to calls that have tools; other answers to those come whole. */
  readonly streamsTools: boolean
  /** The strictest tool_choice: one by name, just any, or none at all. */
  readonly toolChoice: 'named' | 'any' | 'auto'
  /** Whether results of tools are JSON rather than text. */
  readonly jsonResults: boolean
  /** Whether results of tools may be marked as errors. */
  readonly resultStatus: boolean
  readonly toolId: RegExp
  /** The only length that the ids of tools may have, where there is one. */
  readonly toolIdLength?: number
  /** Whether it takes a JSON schema for the answer and strict tools. */
  readonly nativeSchema: boolean
  /** Where cache points may stand. */
  readonly caching: 'everywhere' | 'not-in-tools' | 'nowhere'
  /** How many stop sequences it takes. */
  readonly stops: number
  /** How top_k is asked for. */
  readonly topK?: (value: number) => Readonly<Record<string, unknown>>
  /** How thinking is asked for, of models other than Claude. */
  readonly reasoning: 'none' | 'effort' | 'nova'
  /** Whether it goes on from an assistant message at the end. */
  readonly prefill: boolean
}

const ANY: Traits = {
  system: true,
  tools: true,
  streamsTools: true,
  toolChoice: 'named',
  jsonResults: false,
  resultStatus: false,
  toolId: /^[a-zA-Z0-9_.:-]{1,60}$/,
  nativeSchema: false,
  caching: 'nowhere',
  stops: 2_500,
  reasoning: 'none',
  prefill: false,
}
const UNKNOWN: Traits = { ...ANY, caching: 'everywhere' }
const CLAUDE: Traits = {
  ...ANY,
  resultStatus: true,
  toolId: /^[a-zA-Z0-9_-]{1,60}$/,
  caching: 'everywhere',
  topK: value => ({ top_k: value }),
}
const NOVA: Traits = {
  ...ANY,
  resultStatus: true,
  caching: 'not-in-tools',
  stops: 4,
  topK: value => ({ inferenceConfig: { topK: value } }),
}
const MISTRAL: Traits = { ...ANY, toolChoice: 'any', jsonResults: true, toolIdLength: 9 }
const OPEN_WEIGHTS: Traits = { ...ANY, nativeSchema: true }

/** The first match counts. Ids may have a region in front (us., global.) or stand within an ARN. */
const MODELS: readonly (readonly [RegExp, Traits])[] = [
  [/nova-2/, { ...NOVA, reasoning: 'nova' }],
  [/nova/, NOVA],
  [/titan/, { ...ANY, system: false, tools: false }],
  [/mistral-7b|mixtral/, { ...MISTRAL, system: false, tools: false }],
  [/mistral|ministral|magistral|pixtral|voxtral|devstral/, MISTRAL],
  [/llama/, { ...ANY, streamsTools: false, toolChoice: 'auto', stops: 0 }],
  [/cohere|jamba|ai21/, { ...ANY, toolChoice: 'auto' }],
  [/deepseek.*r1/, { ...ANY, tools: false }],
  [/gpt-oss|(^|\.)openai\./, { ...OPEN_WEIGHTS, reasoning: 'effort' }],
  [/deepseek|qwen|kimi|moonshot|minimax|gemma|nemotron/, OPEN_WEIGHTS],
]

/** What this model accepts, by its id at Bedrock. */
export function traitsOf(model: string): Traits {
  const id = model.toLowerCase()
  if (id.includes('claude')) {
    const claude = claudeOf(id)
    return { ...CLAUDE, claude, nativeSchema: claude.nativeSchema, prefill: claude.prefill }
  }
  return MODELS.find(([pattern]) => pattern.test(id))?.[1] ?? UNKNOWN
}
