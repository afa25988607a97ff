/*
 * What recordings of real traffic are: which provider reads them, what their errors mean, and where they are not what they are tagged
 * as. The suites and `npm run recordings` read them by the same list.
 */
import assert from 'node:assert/strict'
import type { FaultName } from '../../src/core/fault.ts'
import type { Provider } from '../../src/core/provider.ts'
import { providers } from '../../src/providers/registry.ts'
import type { Recording } from './reading.ts'

/** Folders whose provider has another name here; every other is its own, or merely compatible. Anthropic's and Ollama's are second APIs. */
const NAMES: Readonly<Record<string, string>> = {
  alibaba: 'qwen',
  anthropic: 'openai-compatible',
  ollama: 'openai-compatible',
}

/** APIs that one provider alone speaks, whoever's folder they are recorded in. */
const SPEAKERS: Readonly<Record<string, string>> = {
  'anthropic.messages': 'anthropic',
  'bedrock.converse': 'bedrock',
  'bedrock.converseStream': 'bedrock',
  'cohere.v2.chat': 'cohere',
  'gemini.generateContent': 'gemini',
  'gemini.streamGenerateContent': 'gemini',
  'ollama.chat': 'ollama',
  'vertex.anthropic.rawPredict': 'vertex',
}

/** The provider that reads a recording of this folder; undefined where it is of no chat API that a provider here speaks. */
export function readerOf(folder: string, { api }: Recording): Provider | undefined {
  if (api === 'openai.chat') return providers.get(NAMES[folder] ?? folder) ?? providers.get('openai-compatible')
  if (folder === 'vertex' && api.startsWith('gemini.') && SPEAKERS[api] !== undefined) return providers.get('vertex')
  return providers.get(SPEAKERS[api] ?? '')
}

/** What the tag of a recorded error implies here. */
export const FAULT_OF_CLASS: Readonly<Record<string, FaultName>> = {
  auth: 'upstream-refused-key',
  permission: 'upstream-refused-key',
  quota: 'upstream-quota-exhausted',
  'rate-limit': 'upstream-rate-limited',
  overloaded: 'upstream-overloaded',
  'server-error': 'upstream-error',
  timeout: 'upstream-error',
  'model-not-found': 'upstream-unknown-model',
  'not-found': 'upstream-unknown-model',
  'context-length': 'context-too-long',
  'invalid-request': 'upstream-refused-call',
  'unsupported-param': 'upstream-refused-call',
  'too-large': 'upstream-refused-call',
}

export interface Explained {
  /** Of a recording's name, folder/file. */
  readonly file: RegExp
  readonly fault: FaultName
  readonly because: string
}

/** Errors whose tag, which was found by a rule, is not what they mean, and answers that are none. */
const EXPLAINED: readonly Explained[] = [
  {
    file: /^groq\/.*tool_use_failed.*__00|^groq\/.*test_tool_choice-groq-list-single-tool/,
    fault: 'upstream-error',
    because: 'what the model wrote did not fit the tool: not the call’s mistake',
  },
  {
    file: /^(?:groq|perplexity|xai)\/.*context_(?:window|length)_?(?:exceeded|excee)/,
    fault: 'context-too-long',
    because: 'tagged by its type; the message says that it does not fit',
  },
  {
    file: /^openai\/.*handles_context_length_exceeded_errors/,
    fault: 'context-too-long',
    because: 'one call larger than a whole minute’s tokens: a 429 that no waiting helps',
  },
  {
    file: /^databricks\/.*error_handling/,
    fault: 'upstream-refused-key',
    because: 'a 401 whose message has the word "unsupported"',
  },
  {
    file: /^llamacpp\/.*image_without_mmproj/,
    fault: 'upstream-error',
    because: 'a 500 of type server_error; only its message has the word "not supported"',
  },
  {
    file: /^gemini\/ruby_llm.*eb721399/,
    fault: 'upstream-rate-limited',
    because: 'tokens per minute, to be had again in 48 s: every such limit speaks of plan and billing',
  },
  {
    file: /^vertex\/.*unsupported-user-location/,
    fault: 'upstream-refused-key',
    because: 'a region, not a parameter, is not supported: no call of ours would be taken from here',
  },
  {
    file: /^vertex\/ruby_llm.*c55a586/,
    fault: 'upstream-overloaded',
    because: 'the capacity that all customers of Vertex share is used up, not a limit of ours',
  },
  {
    file: /^vertex\/opentelemetry.*invalid_role/,
    fault: 'upstream-refused-call',
    because: 'a 400 with a comma too many, which is no JSON; only its request names a model',
  },
  {
    file: /^(?:gemini|vertex)\/.*(?:prompt-blocked|prompt_template_text_gets_blocked)/,
    fault: 'content-filtered',
    because: 'there is no candidate; the prompt was blocked',
  },
  {
    file: /^vertex\/.*streaming-failure-error-mid-stream/,
    fault: 'upstream-error',
    because: 'bare JSON behind the events: 499, the operation was cancelled',
  },
  {
    file: /^vertex\/.*streamFunctionCallingArg|^vertex\/.*streaming_function_calling_arg|^(?:gemini|vertex)\/.*no-args-tool-call-chunks/,
    fault: 'upstream-garbled',
    because: 'arguments in pieces, which we never ask for',
  },
  {
    file: /^vertex\/opentelemetry.*extra_params/,
    fault: 'upstream-garbled',
    because: 'nothing was said, and the reason is a number, as only libraries write it',
  },
  {
    file: /^bedrock\/.*test_bedrock-test_bedrock_error__/,
    fault: 'upstream-refused-call',
    because: 'the recorder has put the body into another object, so that there is no message where one would be',
  },
  { file: /^other-demo-endpoints/, fault: 'upstream-garbled', because: 'a text that is no JSON' },
  {
    file: /^llamacpp\/.*empty_answer_with_stop/,
    fault: 'upstream-garbled',
    because: 'it says nothing: an empty answer is garbled',
  },
  {
    file: /^ollama\/prism__ollama-structured-with-multiple-tools-structured-mode-2/,
    fault: 'upstream-garbled',
    because: 'it has the form of OpenAI’s API',
  },
  { file: /^anthropic\/.*spliced-message-start/, fault: 'upstream-garbled', because: 'it holds two answers' },
  {
    file: /^anthropic\/.*test_anthropic_empty_response/,
    fault: 'upstream-garbled',
    because: 'it says nothing: an empty answer is garbled',
  },
  {
    file: /^databricks\/newrelic.*mock_external_anthropic_server__07/,
    fault: 'upstream-error',
    because: 'its type says that the API failed; only its sentence speaks of a model',
  },
  {
    file: /^pydantic-gateway\/.*context_window_exceeded-bedrock_nova/,
    fault: 'context-too-long',
    because: 'tagged by its status; the message says that it does not fit',
  },
]

/** Why this recording is not what its tags say, where it is not. */
export function explained(name: string): Explained | undefined {
  return EXPLAINED.find(({ file }) => file.test(name))
}

/** The fault that must come of a recording; undefined where it is an answer. */
export function faultExpected(name: string, recording: Recording): FaultName | undefined {
  const other = explained(name)
  if (other !== undefined) return other.fault
  if (recording.error === undefined && recording.response.status === 200) return undefined
  const expected = FAULT_OF_CLASS[recording.error?.class ?? '']
  assert.ok(expected, `no fault is stated for the class ${recording.error?.class}`)
  return expected
}
