/*
 * Who plays: three providers of different wire formats that misbehave, one that is well, and one that is well and says something else. Each
 * way of recovering has three routes over them: with a good end (and a hedge), with none, and to the stranger, whose words must never be
 * mixed with anybody else's.
 */
import type { Row } from './rows.ts'

export const ANSWER = 'One two three four five six seven eight nine ten eleven twelve thirteen.'
export const OTHER_ANSWER = 'One two three four, says somebody else, and goes on in words of its own.'

export const RECOVERIES = ['off', 'splice', 'prefill', 'hold'] as const
const ENDS = {
  steady: { targets: ['alpha/model', 'beta/model', 'epsilon/model', 'gamma/model'], hedge: { after: '150ms', share: '50%' } },
  sole: { targets: ['beta/model', 'epsilon/model', 'alpha/model'] },
  strange: { targets: ['alpha/model', 'delta/model'], hedge: { after: '250ms', share: '20%' } },
} as const

export const ROUTES: readonly string[] = RECOVERIES.flatMap(recover => Object.keys(ENDS).map(end => `${recover}-${end}`))

export const FAULTY = { alpha: 0.4, beta: 0.25, epsilon: 0.25 } as const

const SPEAKS = { alpha: 'openai', beta: 'anthropic', gamma: 'openai', delta: 'anthropic', epsilon: 'gemini' } as const
export const PROVIDERS = Object.keys(SPEAKS) as readonly (keyof typeof SPEAKS)[]

/** Those that say the answer can be handed its beginning, too, where their type can. */
const PREFILLS: Readonly<Record<string, object>> = {
  beta: { models: { model: { prefill: true } } },
  epsilon: { models: { model: { prefill: true } } },
  gamma: { type: 'openai-compatible', models: { model: { prefill: true } } },
}

const IMPATIENT = { connect: '1s', first_token: '500ms', idle: '400ms', total: '5s' }
const PATIENT = { connect: '10s', first_token: '20s', idle: '20s', total: '30s' }
const NEVER_OPENS = { failures: 1_000_000, min_calls: 1_000_000 }
const OPENS = { failures: 25, ratio: 1, min_calls: 1_000, open: '100ms', open_max: '200ms', ramp: '100ms', window: '2s' }

/** The configuration of a row. */
export function stage(row: Row): string {
  const isFaulty = (name: string): name is keyof typeof FAULTY => name in FAULTY
  const provider = (name: keyof typeof SPEAKS) => ({
    type: SPEAKS[name],
    base_url: `simulator:${name}/${SPEAKS[name] === 'gemini' ? 'v1beta' : 'v1'}`,
    keys: [`key-1-of-${name}`, { value: `key-2-of-${name}`, concurrency: 20 }, `key-3-of-${name}`],
    timeouts: isFaulty(name) ? IMPATIENT : PATIENT,
    retry: { attempts: 1, backoff: { first: '5ms', max: '20ms' }, rate_limit_wait: '50ms' },
    circuit: row.circuits ? OPENS : NEVER_OPENS,
    ...PREFILLS[name],
  })
  // JSON is YAML.
  return JSON.stringify({
    telemetry: { headers: 'full' },
    simulators: PROVIDERS.map(name => ({
      name,
      speaks: SPEAKS[name],
      answer: name === 'delta' ? OTHER_ANSWER : ANSWER,
      token_delay: '12ms',
      // Streams without a terminator have nothing that data could come after.
      script: isFaulty(name)
        ? row.script(FAULTY[name]).filter(rule => SPEAKS[name] !== 'gemini' || !('data_after_done' in rule))
        : [],
    })),
    providers: Object.fromEntries(PROVIDERS.map(name => [name, provider(name)])),
    routes: Object.fromEntries(
      RECOVERIES.flatMap(recover =>
        Object.entries(ENDS).map(([end, settings]) => [
          `${recover}-${end}`,
          { recover, deadline: '10s', extra_attempts: '100%', heartbeat: '50ms', ...settings },
        ]),
      ),
    ),
  })
}
