/*
 * A configuration with simulators in the place of its providers: the same routes, targets, times and circuits; no network, no real key,
 * nothing shared and nothing counted that the drill is not about.
 */
import type { ProviderType } from './provider-settings.ts'
import type { Config, ProviderConfig } from './schema.ts'
import { secret } from './secrets/secret.ts'
import { type Source, sources } from './secrets/sources.ts'
import { PLAIN_SIMULATOR, type SPOKEN } from './simulation.ts'

type Spoken = (typeof SPOKEN)[number]

/** What a simulator speaks for a type, and where its paths begin. Every type that is not here speaks OpenAI's API. */
const WIRES: Partial<Record<ProviderType, readonly [Spoken, path: string]>> = {
  anthropic: ['anthropic', ''],
  gemini: ['gemini', '/v1beta'],
}

/** No simulator speaks their API, or lives at addresses like theirs. */
const STOOD_IN_FOR: ReadonlySet<ProviderType> = new Set(['azure', 'bedrock', 'cohere', 'ollama', 'vertex'])

export function drilled(config: Config): Config {
  const entries = Object.entries(config.providers)
  return {
    ...config,
    server: { ...config.server, open: true },
    state: undefined,
    providers: Object.fromEntries(entries.map(([name, provider]) => [name, standIn(name, provider)])),
    clients: [],
    telemetry: { ...config.telemetry, traces: undefined, webhooks: [] },
    simulators: entries.map(([name, { type }]) => ({
      ...PLAIN_SIMULATOR,
      name,
      speaks: WIRES[type]?.[0] ?? ('openai' as const),
    })),
  }
}

function standIn(name: string, provider: ProviderConfig): ProviderConfig {
  const type = STOOD_IN_FOR.has(provider.type) ? 'openai-compatible' : provider.type
  return {
    ...provider,
    type,
    base_url: `simulator:${name}${WIRES[type]?.[1] ?? '/v1'}`,
    // What a key may do upstream is the provider's business, and the drill makes many calls in a short time.
    keys: provider.keys.map(({ name: key, weight, quota_group }) => ({
      name: key,
      value: secret(`drill-${name}-${key}`),
      weight,
      quota_group,
    })),
    headers: {},
    health: undefined,
    spend_cap: undefined,
  }
}

/** Stands in for the environment, files and vaults: each secret has a value of its own, and none is read. */
export const drillSources: ReadonlyMap<string, Source> = new Map(
  [...sources({}, '.').keys(), 'vault', 'aws-sm', 'gcp-sm', 'azure-kv'].map(scheme => [
    scheme,
    async (reference: string) => ({ ok: true as const, text: `drill-${scheme}-${reference.replace(/[^\w.-]/g, '-')}` }),
  ]),
)
