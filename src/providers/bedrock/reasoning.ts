/*
 * How hard to think. Converse has no field of its own for it: each family is told in the words of its own API, beside the fields that
 * Converse knows. Thinking restricts sampling, each family in its own way.
 */
import type { ChatBody } from '../../core/chat.ts'
import { samplingOf } from '../kit/claude/sampling.ts'
import { type Circumstances, thinkingOf } from '../kit/claude/thinking.ts'
import type { Traits } from './models.ts'

type Fields = Readonly<Record<string, unknown>>

export interface Tuning {
  /** For inferenceConfig. */
  readonly inference: { readonly temperature?: number; readonly topP?: number; readonly maxTokens?: number }
  /** For additionalModelRequestFields. */
  readonly additional: Fields
  /** Whether thinking that the client sends back goes to the model. */
  readonly keepThinking: boolean
  readonly leftOut: readonly string[]
}

export interface Asked extends Circumstances {
  /** What the caller bounded the answer by, within what the model takes. */
  readonly bound: number | undefined
}

export function tuningOf(body: ChatBody, traits: Traits, asked: Asked): Tuning {
  return traits.claude === undefined ? ofOthers(body, traits, asked) : ofClaude(body, traits.claude, asked)
}

function ofClaude(body: ChatBody, claude: NonNullable<Traits['claude']>, asked: Asked): Tuning {
  const thinking = thinkingOf(body, claude, asked)
  const { fields, leftOut } = samplingOf(body, claude, thinking.on)
  // A budget of thinking must be smaller than the bound of the answer, whose default is not ours to guess.
  const needsBound = thinking.asked?.type === 'enabled'
  return {
    inference: {
      ...(fields.temperature === undefined ? {} : { temperature: fields.temperature }),
      ...(fields.top_p === undefined ? {} : { topP: fields.top_p }),
      ...boundOf(needsBound ? asked.maxTokens : asked.bound),
    },
    additional: {
      ...(thinking.asked === undefined ? {} : { thinking: thinking.asked }),
      ...(thinking.effort === undefined ? {} : { output_config: { effort: thinking.effort } }),
      ...(fields.top_k === undefined ? {} : { top_k: fields.top_k }),
    },
    keepThinking: thinking.on,
    leftOut: [...thinking.leftOut, ...leftOut],
  }
}

function ofOthers(body: ChatBody, traits: Traits, { bound }: Asked): Tuning {
  const leftOut: string[] = []
  const { reasoning, withoutSampling } = reasoningOf(body, traits, bound, leftOut)
  const inference: { temperature?: number; topP?: number } = {}
  const { temperature, top_p: topP, top_k: topK } = body
  if (typeof temperature === 'number') {
    // OpenAI's scale ends at 2, Converse's at 1.
    if (!withoutSampling) inference.temperature = Math.min(Math.max(temperature, 0), 1)
    else if (temperature !== 1) leftOut.push('temperature')
  }
  if (typeof topP === 'number') {
    if (!withoutSampling) inference.topP = Math.min(Math.max(topP, 0), 1)
    else if (topP !== 1) leftOut.push('top_p')
  }
  let additional: Fields = reasoning
  if (typeof topK === 'number') {
    if (traits.topK !== undefined && !withoutSampling) additional = { ...additional, ...traits.topK(topK) }
    else leftOut.push('top_k')
  }
  return { inference: { ...inference, ...boundOf(bound) }, additional, keepThinking: false, leftOut }
}

function boundOf(maxTokens: number | undefined): { readonly maxTokens?: number } {
  return maxTokens === undefined ? {} : { maxTokens }
}

/** @param leftOut what is not sent is added here */
function reasoningOf(
  body: ChatBody,
  traits: Traits,
  bound: number | undefined,
  leftOut: string[],
): { readonly reasoning: Fields; readonly withoutSampling: boolean } {
  const effort = body.reasoning_effort
  const nothing = { reasoning: {}, withoutSampling: false }
  if (typeof body.thinking === 'object' && body.thinking !== null) leftOut.push('thinking')
  if (typeof effort !== 'string') return nothing
  const level = LEVELS[effort]
  if (traits.reasoning === 'effort' && level !== undefined)
    return { reasoning: { reasoning_effort: level }, withoutSampling: false }
  if (traits.reasoning === 'nova' && level !== undefined) {
    // The greatest effort is refused together with a bound or with sampling. The bound is the caller's money: the effort gives way.
    const maxReasoningEffort = level === 'high' && bound !== undefined ? 'medium' : level
    if (maxReasoningEffort !== level) leftOut.push('reasoning_effort')
    return {
      reasoning: { reasoningConfig: { type: 'enabled', maxReasoningEffort } },
      withoutSampling: maxReasoningEffort === 'high',
    }
  }
  // A model that does not think unless asked needs nothing to be told not to.
  if (effort !== 'none' || traits.reasoning === 'effort') leftOut.push('reasoning_effort')
  return nothing
}

const LEVELS: Readonly<Record<string, string | undefined>> = {
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'high',
  max: 'high',
}
