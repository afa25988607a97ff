/*
 * Reasoning efforts as Ollama's `think`. It is true or false, but for gpt-oss, which is told how much and cannot be told not to. A model
 * that cannot think refuses a call that asks it to, so only those are asked that are known to be able; to tell any model not to think
 * does no harm.
 */
import type { ChatBody } from '../../core/chat.ts'

export interface Thinking {
  readonly think: unknown
  readonly leftOut: readonly string[]
}

const HAS_LEVELS = /(?:^|\/)gpt-oss/
const THINKS =
  /(?:^|\/)(?:qwen3(?!-coder|.*instruct)|qwq|deepseek-(?:r1|v3\.[1-9]|v[4-9])|magistral|cogito|glm-(?:4\.[5-9]|[5-9])|kimi-k2.*thinking|minimax-m|nemotron-3|smollm3)/i

const LEVELS: Readonly<Record<string, string>> = {
  none: 'low',
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'high',
  max: 'high',
}

/** @param saidSomething whether the model goes on with what it has said, and can think no more */
export function thinkingOf(body: ChatBody, model: string, saidSomething: boolean): Thinking {
  const effort = body.reasoning_effort
  if (saidSomething && !HAS_LEVELS.test(model)) return { think: false, leftOut: [] }
  // A client that knows Ollama's own field is taken at its word.
  if (body.think !== undefined && body.think !== null) return { think: body.think, leftOut: [] }
  if (effort === undefined || effort === null) return { think: undefined, leftOut: [] }
  const level = Object.hasOwn(LEVELS, effort) ? LEVELS[effort] : undefined
  if (level !== undefined && HAS_LEVELS.test(model)) return { think: level, leftOut: [] }
  if (effort === 'none') return { think: false, leftOut: [] }
  return level !== undefined && THINKS.test(model)
    ? { think: true, leftOut: [] }
    : { think: undefined, leftOut: ['reasoning_effort'] }
}
