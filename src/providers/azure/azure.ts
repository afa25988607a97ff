/*
 * Azure OpenAI and the other models of Foundry. They speak OpenAI's API on three surfaces, and base_url says which: `/openai/v1` (the
 * default), the older one with a deployment in the path and a dated `api-version` in the query, and `/models` for Foundry's model
 * inference. A target's model is the name of a deployment. Which model stands behind that name cannot be known, so the name is taken
 * for the model's where it looks like one, and everything else passes as it came.
 */
import type { Target } from '../../core/attempt.ts'
import { systemClock } from '../../core/clock.ts'
import type { Provider, UpstreamFailure } from '../../core/provider.ts'
import { classifyBy, type Rule } from '../kit/failure.ts'
import { renameToolIds, shortToolId } from '../kit/tool-ids.ts'
import { abilities } from '../openai/known-models.ts'
import { refusedFields, renamedFields, roles } from '../openai/models.ts'
import { openAIFamily, type Relative } from '../openai/openai.ts'
import { entraTokens, isEntra, type Tokens } from './entra.ts'
import { filteredDecoder } from './filtered.ts'
import { credentialOf } from './identity.ts'

const RULES: readonly Rule[] = [
  // The sentence for a limit per minute and for a day's allowance is the same but for the number.
  { status: 429, message: /retry after \d{5,} seconds/i, fault: 'upstream-quota-exhausted' },
  { status: [429, 503], message: /experiencing high demand|temporarily unable to process/i, fault: 'upstream-overloaded' },
  // The deployment is there, but what it deploys does not chat.
  { code: /^OperationNotSupported$/i, fault: 'upstream-unknown-model' },
  { code: /^unknown_model$/i, fault: 'upstream-unknown-model' },
  // One call larger than a whole minute's tokens: no waiting and no resting of the key helps, only a target that takes more.
  { status: 429, message: /^Request too large for/, fault: 'context-too-long' },
  { code: /^string_above_max_length$/, message: /messages\[\d+\]\.content|'input'/, fault: 'context-too-long' },
]

const BEARER = 'Bearer '
/** Enforced here for every model. */
const LONGEST_TOOL_ID = 40
/** Versions before this one refuse stream_options. */
const FIRST_WITH_STREAM_OPTIONS = '2024-09-01'

const RELATIVE: Relative = {
  name: 'azure',
  tracedAs: 'azure.ai.openai',
  // Deployments of gpt-4 may be of its turbo versions, which are not called otherwise here.
  abilities: model => (/^gpt-4$/i.test(model) ? { context: 128_000 } : abilities(model)),
  drops: (call, target) => refusedFields(call, target.model),
  renames: (_, target) => renamedFields(target.model),
  messages: (_, target) => [...roles(target.model), messages => renameToolIds(messages, id => shortToolId(id, LONGEST_TOOL_ID))],
  rules: RULES,
}

/** @param tokens for keys that are an identity of Entra and not a key of the resource */
export function azureWith(tokens: Tokens): Provider {
  const family = openAIFamily(RELATIVE)
  const withoutStreamOptions = openAIFamily({ ...RELATIVE, usageUnasked: true })

  return {
    ...family,
    authorize: (key): Readonly<Record<string, string>> => (key === '' || isEntra(key) ? {} : { 'api-key': key }),
    encode(call, target) {
      const speaking = isBeforeStreamOptions(target) ? withoutStreamOptions : family
      const { body, leftOut = [] } = speaking.encode(call, target)
      return {
        path: pathOf(target),
        body,
        // Unless told so, this surface refuses every field that it does not know itself, whatever the model knows.
        ...(isInference(target) ? { headers: { 'extra-parameters': 'pass-through' } } : {}),
        ...(leftOut.length === 0 ? {} : { leftOut }),
      }
    },
    decoder: () => filteredDecoder(family.decoder()),
    classify: failure => classifyBy(RULES, withLongerWait(failure)),
    async sign(_, __, key): Promise<Readonly<Record<string, string>>> {
      return isEntra(key) ? { authorization: BEARER + (await tokens.of(key)) } : {}
    },
    renews(key, { authorization }, refused) {
      if (authorization === undefined || refused.details.upstreamStatus !== 401) return false
      return tokens.withdraw(key, authorization.slice(BEARER.length))
    },
  }
}

export const azure: Provider = azureWith(entraTokens(systemClock, credentialOf))

function pathOf(target: Target): string {
  const { basePath, query, model } = target
  // A base ending in /v1 that is not /openai/v1 is somebody's proxy, which says the same by it.
  if (isInference(target) || basePath.endsWith('/v1')) return `${basePath}/chat/completions${query}`
  const root = basePath.endsWith('/openai') ? basePath : `${basePath}/openai`
  return query === ''
    ? `${root}/v1/chat/completions`
    : `${root}/deployments/${encodeURIComponent(model)}/chat/completions${query}`
}

function isInference(target: Target): boolean {
  return target.basePath.endsWith('/models')
}

function isBeforeStreamOptions({ query }: Target): boolean {
  const date = /\d{4}-\d{2}-\d{2}/.exec(query)?.[0]
  return date !== undefined && date < FIRST_WITH_STREAM_OPTIONS
}

/** Both headers of one answer have been seen to disagree (1 s and 0 ms): the longer wait is meant, and zero is none. */
function withLongerWait(failure: UpstreamFailure): UpstreamFailure {
  const { 'retry-after-ms': precise, ...headers } = failure.headers
  const ms = Number(precise)
  const seconds = Number(headers['retry-after'])
  return ms > 0 && !(seconds * 1_000 > ms) ? failure : { ...failure, headers }
}
