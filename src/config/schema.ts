/*
 * The configuration's schema: names, meanings and defaults. It is strict, as a misspelt key is an error and not a silent default. After
 * parsing, names are as in the file, durations are milliseconds, sizes are bytes, shares are numbers from 0 to 1, secrets are closed
 * (`Secret`), and short forms are written out. What concerns several settings at once is in the rules, not here.
 */
import { z } from 'zod'
import { parseRedisUrl, REDIS_SCHEMES } from '../state/redis-url.ts'
import { WEBHOOK_EVENTS } from '../telemetry/webhooks.ts'
import { address, anySecret, bearerSecret, count, plainName, positiveDuration, positiveSize, url, word } from './notation.ts'
import { provider, spending } from './provider-settings.ts'
import { route, routeName } from './route-settings.ts'
import { secret } from './secrets/secret.ts'
import { simulator } from './simulation.ts'
import { duration, share } from './units.ts'

const WORKERS = 'expected a number of processes, or auto'

const server = z.strictObject({
  listen: address.prefault('127.0.0.1:8080').describe('host:port for clients; beyond loopback it takes clients, or open: true'),
  open: z.boolean().default(false).describe('no client key is asked for, on any address'),
  max_body: positiveSize.prefault('32MB').describe('the largest call'),
  drain: duration.prefault('30s').describe('on SIGTERM, open streams get this long'),
  workers: z
    .union([count, z.literal('auto', { error: WORKERS })], { error: WORKERS })
    .default(1)
    .describe('processes that share the port; auto is one per core; more than one needs state.redis'),
})

const admin = z.strictObject({
  listen: address.prefault('127.0.0.1:9090').describe('host:port for /metrics, /health, /ready and /admin'),
  token: bearerSecret
    .optional()
    .describe('asked for on everything but /metrics, /health and /ready; env:UNDERSTUDY_ADMIN_TOKEN when left out'),
})

/** `off` is for files that take the address from outside: `${REDIS_URL:-off}`. */
const REDIS_OR_OFF = new RegExp(`^off$|${REDIS_SCHEMES.source}`)

const state = z.strictObject({
  redis: z
    .string()
    .regex(REDIS_OR_OFF, { error: 'expected redis://, rediss://, redis-sentinel:// or redis-cluster://, or off', abort: true })
    .superRefine((text, context) => {
      if (text === 'off') return
      const parsed = parseRedisUrl(text)
      // The text is not repeated: it could hold a password.
      if ('wrong' in parsed) context.addIssue({ code: 'custom', message: parsed.wrong })
    })
    .transform(text => (text === 'off' ? undefined : secret(text)))
    .optional()
    .describe(
      'redis://, rediss:// (TLS), redis-sentinel://h1,h2/name or redis-cluster://h1,h2; shared by all replicas; off: as if it were not there',
    ),
  prefix: z
    .string()
    .regex(/^[\w.:-]{1,64}$/, 'expected up to 64 letters, digits, ".", "_", ":" and "-"')
    .default('understudy')
    .describe('the beginning of every key; gateways that share nothing have different ones'),
  command_timeout: positiveDuration.prefault('100ms').describe('past this the gateway works on from memory'),
  file: z.string().min(1).optional().describe('embedded store only: budgets and spend survive a restart'),
})

const client = z.strictObject({
  name: word.describe('shows up in metrics and logs'),
  key: bearerSecret.optional().describe('the client key: env:NAME, file:/run/secrets/name; or key_sha256'),
  key_sha256: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'expected 64 hexadecimal digits, as printed by `understudy keys new`')
    .transform(hex => hex.toLowerCase())
    .optional()
    .describe('the SHA-256 of the client key, so that the key itself is nowhere here'),
  routes: z.array(routeName).min(1).optional().describe('the routes that this client may ask for; all of them when left out'),
  rpm: count.optional().describe('requests a minute'),
  tpm: count.optional().describe('tokens a minute'),
  concurrency: count.optional().describe('calls in flight'),
  budget: spending.optional().describe('reserved before the call, settled after it'),
  require: z.array(word).default([]).describe('tags that a provider must have, on top of those of the route'),
  tags: z.record(z.string().min(1), z.string()).default({}).describe('copied to logs and traces'),
})

const cache = z.strictObject({
  store: z.enum(['state', 'memory']).default('state').describe('where answers are kept'),
  scope: z.enum(['client', 'shared']).default('client').describe('client: no client sees the answer of another'),
  max_memory: positiveSize.prefault('256MB').describe('all answers in memory together'),
  max_entry: positiveSize.prefault('1MB').describe('the largest answer that is kept'),
})

const telemetry = z.strictObject({
  log: z
    .strictObject({
      level: z
        .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
        .default('info')
        .describe('the least that is logged'),
      bodies: z.enum(['never', 'errors', 'all']).default('never').describe('whether prompts and answers are logged'),
    })
    .prefault({})
    .describe('the log'),
  traces: z
    .strictObject({
      endpoint: url.describe('an OTLP/HTTP collector'),
      sample: share.prefault('10%').describe('the share of calls that are traced'),
    })
    .optional()
    .describe('traces by OpenTelemetry'),
  headers: z.enum(['none', 'summary', 'full']).default('summary').describe('which x-understudy-* headers clients see'),
  webhooks: z
    .array(
      z.strictObject({
        url: url.describe('where it is sent'),
        secret: anySecret.optional().describe('signs what is sent'),
        on: z.array(z.enum(WEBHOOK_EVENTS)).min(1).describe('what is told'),
      }),
    )
    .default([])
    .describe('who is told when something happens'),
})

export const config = z
  .strictObject({
    server: server.prefault({}).describe('the listener for clients'),
    admin: admin.prefault({}).describe('the listener for operators'),
    state: state.optional().describe('where things are remembered; in memory when left out'),
    providers: z.record(plainName, provider).describe('the providers, each under a name of your own'),
    routes: z.record(routeName, route).describe('the model names that clients ask for'),
    clients: z.array(client).default([]).describe('who may call; leave out on loopback'),
    cache: cache.prefault({}).describe('answers that are given again'),
    telemetry: telemetry.prefault({}).describe('what operators see'),
    simulators: z.array(simulator).default([]).describe('for demos, drills and tests: providers inside the process'),
  })
  .describe('The configuration of understudy')

export type Config = z.output<typeof config>
export type ProviderConfig = Config['providers'][string]
export type KeyConfig = ProviderConfig['keys'][number]
export type RouteConfig = Config['routes'][string]
export type ClientConfig = Config['clients'][number]

export { AVAILABLE_TYPES, PROVIDER_TYPES, type ProviderType } from './provider-settings.ts'
