/** A whole answer in OpenAI's shape: the provider's own bytes, or a message put together from the events. */
import type { ChatCall, ChatEvent, Piece, Usage } from '../../core/chat.ts'
import type { AnswerWriter } from '../../core/dialect.ts'
import type { Fault } from '../../core/fault.ts'
import { asObject } from '../../core/json.ts'
import { errorBody, newAnswerId } from './shape.ts'
import { openAIUsage } from './usage.ts'

interface Choice {
  text: string | undefined
  refusal: string | undefined
  reasoning: string
  /** Reasoning since the last signature. */
  unsigned: string
  readonly details: unknown[]
  readonly tools: Map<number, { id: string; name: string; json: string; extra: Readonly<Record<string, unknown>> | undefined }>
  readonly extra: Record<string, unknown>
  finish: string
  raw: string
}

const NOTHING = Buffer.alloc(0)

export function wholeWriter(call: ChatCall, createdMs: number): AnswerWriter {
  let wire: Uint8Array | undefined
  let id: string | undefined
  let model = call.model
  let usage: Usage | undefined
  // Of what is passed on as it came, nobody asks for them.
  let choices: Map<number, Choice> | undefined

  function choiceAt(index: number): Choice {
    choices ??= new Map()
    let choice = choices.get(index)
    if (choice === undefined) {
      choice = {
        text: undefined,
        refusal: undefined,
        reasoning: '',
        unsigned: '',
        details: [],
        tools: new Map(),
        extra: {},
        finish: 'stop',
        raw: 'stop',
      }
      choices.set(index, choice)
    }
    return choice
  }

  function take(event: ChatEvent): void {
    if (event.type === 'start') {
      if (event.id !== '') id = event.id
      if (event.model !== '') model = event.model
    } else if (event.type === 'usage') usage = event.usage
    else if ('choice' in event) takeOfChoice(choiceAt(event.choice), event)
  }

  function end(): Uint8Array {
    if (wire !== undefined) return wire
    const counted = usage === undefined ? undefined : openAIUsage(usage)
    const body = {
      id: id ?? newAnswerId(),
      object: 'chat.completion',
      created: Math.floor(createdMs / 1000),
      model,
      choices: [...(choices ?? [])].sort(([a], [b]) => a - b).map(([index, choice]) => written(index, choice)),
      ...(counted !== undefined && { usage: counted }),
    }
    return Buffer.from(JSON.stringify(body))
  }

  return {
    write(piece: Piece) {
      if (piece.wire !== undefined) wire = piece.wire
      else for (const event of piece.events) take(event)
      return undefined
    },
    end,
    fail: (fault: Fault) => Buffer.from(JSON.stringify(errorBody(fault))),
    heartbeat: () => NOTHING,
  }
}

function takeOfChoice(choice: Choice, event: Extract<ChatEvent, { choice: number }>): void {
  switch (event.type) {
    case 'text-delta':
      choice.text = (choice.text ?? '') + event.text
      break
    case 'refusal-delta':
      choice.refusal = (choice.refusal ?? '') + event.text
      break
    case 'reasoning-delta':
      choice.reasoning += event.text
      choice.unsigned += event.text
      if (event.signature !== undefined) {
        choice.details.push({ type: 'reasoning.text', text: choice.unsigned, signature: event.signature })
        choice.unsigned = ''
      }
      break
    case 'tool-start':
      choice.tools.set(event.index, { id: event.id, name: event.name, json: '', extra: event.extra })
      break
    case 'tool-delta': {
      const tool = choice.tools.get(event.index)
      if (tool !== undefined) tool.json += event.json
      break
    }
    case 'extra-delta':
      merge(choice, event.fields)
      break
    case 'finish':
      choice.finish = event.reason
      choice.raw = event.raw
  }
}

function merge(choice: Choice, fields: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'reasoning_details' && Array.isArray(value)) choice.details.push(...value)
    else choice.extra[name] = joined(choice.extra[name], value)
  }
}

/** Lists that come in parts are one list in the end, also inside an object (logprobs); of anything else the last word counts. */
function joined(before: unknown, value: unknown): unknown {
  if (Array.isArray(before) && Array.isArray(value)) return [...before, ...value]
  const [known, fresh] = [asObject(before), asObject(value)]
  if (known === undefined || fresh === undefined) return value ?? before
  const all: Record<string, unknown> = { ...known }
  for (const [name, each] of Object.entries(fresh)) all[name] = joined(known[name], each)
  return all
}

function written(index: number, choice: Choice): object {
  const { logprobs, ...extra } = choice.extra
  const tools = [...choice.tools].sort(([a], [b]) => a - b).map(([, tool]) => tool)
  const message = {
    role: 'assistant',
    content: choice.text ?? (tools.length > 0 || choice.refusal !== undefined ? null : ''),
    refusal: choice.refusal ?? null,
    ...(choice.reasoning !== '' && { reasoning_content: choice.reasoning }),
    ...(choice.details.length > 0 && { reasoning_details: choice.details }),
    ...(tools.length > 0 && {
      tool_calls: tools.map(({ id, name, json, extra }) => ({
        id,
        type: 'function',
        function: { name, arguments: json },
        ...extra,
      })),
    }),
    ...extra,
  }
  const native = choice.raw === choice.finish ? {} : { native_finish_reason: choice.raw }
  return { index, message, logprobs: logprobs ?? null, finish_reason: choice.finish, ...native }
}
