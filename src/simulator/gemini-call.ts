/** What a call of Gemini's generateContent asks for, or what the API would say is wrong with it. */
import { asObject } from '../core/json.ts'
import { type Ask, countWords, type ToolOffer, textOf } from './answer.ts'
import type { Addressed, Failure } from './wire.ts'

type Fields = Readonly<Record<string, unknown>>

const METHOD = /^\/(?:models\/)?(.+):(generateContent|streamGenerateContent)$/

/** The model and the form of the answer stand in the address: `/models/MODEL:streamGenerateContent?alt=sse`. */
export function geminiCallAt(path: string, query: URLSearchParams): Addressed | undefined {
  const [, model, method] = METHOD.exec(path) ?? []
  if (model === undefined) return undefined
  const stream = method === 'streamGenerateContent'
  const isFramed = query.get('alt') === 'sse'
  // A stream that is not asked for as events comes as one list.
  return { model: decodeURIComponent(model), stream: stream && isFramed, isList: stream && !isFramed }
}

export function readGeminiCall(body: unknown, { model = '', stream = false, isList = false }: Addressed): Ask | Failure {
  if (body === undefined) return bad('Invalid JSON payload received. Expected a value.')
  const call = asObject(body)
  if (call === undefined) return bad('Invalid JSON payload received. Unexpected token.')
  const contents = readContents(call.contents)
  if (!Array.isArray(contents)) return contents as Failure

  const config = asObject(call.generationConfig) ?? {}
  const choices = config.candidateCount ?? 1
  if (typeof choices !== 'number' || !Number.isInteger(choices) || choices < 1 || choices > 8)
    return bad('* GenerateContentRequest.generation_config.candidate_count: must be in the range [1, 8].')
  if (choices > 1 && stream) return bad('Multiple candidates is not supported for streaming.')
  const { maxOutputTokens: limit, stopSequences: stops } = config
  const last = contents.at(-1)
  const system = asObject(call.systemInstruction)
  return {
    model,
    stream,
    isList,
    choices,
    maxTokens: typeof limit === 'number' ? limit : undefined,
    stops: Array.isArray(stops) ? stops.filter(stop => typeof stop === 'string') : [],
    format: readFormat(config),
    tools: readTools(call.tools, asObject(asObject(call.toolConfig)?.functionCallingConfig)),
    parallel: true,
    thinks: asObject(config.thinkingConfig)?.includeThoughts === true,
    reportsUsage: true,
    padded: false,
    userText: textOf(contents.findLast(content => content.role !== 'model')?.parts),
    toolResult: readResults(last),
    prefill: last?.role === 'model' ? textOf(last.parts) || undefined : undefined,
    promptTokens: contents.reduce((sum, content) => sum + countParts(content.parts), countParts(system?.parts)),
  }
}

function readContents(contents: unknown): readonly Fields[] | Failure {
  if (!Array.isArray(contents) || contents.length === 0)
    return bad('* GenerateContentRequest.contents: contents is not specified')
  for (const [index, content] of contents.entries()) {
    const { role = 'user', parts } = asObject(content) ?? {}
    if (role !== 'user' && role !== 'model') return bad('Please use a valid role: user, model.')
    if (!Array.isArray(parts) || parts.length === 0)
      return bad(`* GenerateContentRequest.contents[${index}].parts: contents.parts must not be empty.`)
  }
  return contents
}

function readFormat({ responseMimeType: type, responseJsonSchema, responseSchema }: Fields): Ask['format'] {
  if (type !== 'application/json') return 'text'
  const schema = responseJsonSchema ?? responseSchema
  return schema === undefined ? 'json' : { schema }
}

/** The functions that may be called. */
function readTools(tools: unknown, config: Fields | undefined): readonly ToolOffer[] {
  if (!Array.isArray(tools) || config?.mode === 'NONE') return []
  const declared = tools.flatMap(tool => asObject(tool)?.functionDeclarations ?? []).map(asObject)
  const allowed = Array.isArray(config?.allowedFunctionNames) ? config.allowedFunctionNames : undefined
  return declared.flatMap(offer => {
    const { name, parameters, parametersJsonSchema } = offer ?? {}
    if (typeof name !== 'string' || allowed?.includes(name) === false) return []
    return [{ name, parameters: parametersJsonSchema ?? parameters }]
  })
}

function readResults(last: Fields | undefined): string | undefined {
  if (last?.role === 'model' || !Array.isArray(last?.parts)) return undefined
  const results = last.parts.map(part => asObject(asObject(part)?.functionResponse)).filter(result => result !== undefined)
  return results.length === 0 ? undefined : results.map(({ response }) => resultText(asObject(response))).join('; ')
}

/** What is no object has been wrapped into one. */
function resultText(response: Fields | undefined): string {
  const wrapped = response?.result ?? response?.output
  return typeof wrapped === 'string' ? wrapped : JSON.stringify(response ?? {})
}

function countParts(parts: unknown): number {
  if (!Array.isArray(parts)) return 0
  return parts.reduce<number>((sum, part) => {
    const { text, functionCall, functionResponse } = asObject(part) ?? {}
    const words = typeof text === 'string' ? text : JSON.stringify(functionCall ?? functionResponse ?? '')
    return sum + countWords(words)
  }, 0)
}

function bad(message: string): Failure {
  return { status: 400, message }
}
