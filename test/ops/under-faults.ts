/*
 * A gateway to which everything happens that the dashboards tell of, and a Prometheus that has watched it: targets that are overloaded,
 * unreachable, garbled, limited and refused, late first tokens, streams that break with and without somebody to take them over, answers from
 * the cache and from a rung, clients at their limits and their budgets, and some who leave. It happens three times, with scrapes in
 * between: what has not yet been counted at one scrape has not increased at the next.
 */
import { type Prometheus, scraping, startPrometheus } from '../support/prometheus-server.ts'
import { HELLO, type Running, running, until } from '../support/running.ts'

export interface Watched {
  readonly prometheus: Prometheus
  readonly gateway: Running
  /** Seconds since 1970. */
  readonly from: number
  readonly to: number
  close(): Promise<void>
}

const PRICE = { input: 50, cached_input: 5, output: 100 }
const ANSWER = 'One two three four five six seven eight nine ten.'

const NEVER_OPEN = { failures: 100_000, min_calls: 100_000 }

/** By name: the script of its simulator, and what its provider is configured with beyond the plain. */
const PROVIDERS: Readonly<Record<string, readonly [script: readonly object[], more?: object]>> = {
  steady: [[]],
  unpriced: [[], { models: {} }],
  overloaded: [[{ status: 503 }], { circuit: { failures: 3, open: '5m' } }],
  garbled: [[{ html: true }], { circuit: NEVER_OPEN }],
  limited: [[{ status: 429, headers: { 'retry-after': '3600' } }], { keys: ['limited-1', 'limited-2'] }],
  refused: [[{ status: 401 }]],
  late: [[{ slow_first_token: '400ms' }]],
  cut: [[{ cut_after: 4 }], { circuit: NEVER_OPEN }],
  capped: [[], { spend_cap: { usd: 0.0001, per: 'day' } }],
  dripping: [[{ slow_tokens: '10s' }]],
  moody: [[{ every: 4, slow_first_token: '250ms' }]],
}

const ROUTES = {
  chat: { targets: ['overloaded/m', 'garbled/m', 'steady/m'], extra_attempts: '100%' },
  keys: { targets: ['limited/m', 'refused/m', 'steady/m'], extra_attempts: '100%' },
  hedged: { targets: ['late/m', 'steady/m'], hedge: { after: '50ms', share: '100%' }, extra_attempts: '100%' },
  spliced: { targets: ['cut/m', 'steady/m'], recover: 'splice' },
  broken: { targets: ['cut/m'], recover: 'off' },
  cached: { targets: ['steady/m'], cache: { ttl: '10m' } },
  degraded: {
    targets: ['garbled/m'],
    degrade: [{ level: 'offline', message: 'We cannot reach our language models.' }],
  },
  exhausted: { targets: ['garbled/m'] },
  capped: { targets: ['capped/m', 'unpriced/m'] },
  slow: { targets: ['moody/m'], slow: { factor: 3 } },
  dripping: { targets: ['dripping/m'] },
  unpriced: { targets: ['unpriced/m'] },
}

const CLIENTS = [
  { name: 'search', key: 'client-key-of-search', budget: { usd: 50, per: 'day' } },
  { name: 'hasty', key: 'client-key-of-hasty', rpm: 2 },
  { name: 'poor', key: 'client-key-of-poor', budget: { usd: 0.000_001, per: 'month' } },
]

const CONFIG = JSON.stringify({
  admin: { token: 'operator' },
  simulators: Object.entries(PROVIDERS).map(([name, [script]]) => ({ name, script, answer: ANSWER })),
  providers: Object.fromEntries(
    Object.entries(PROVIDERS).map(([name, [, more]]) => [
      name,
      {
        type: 'openai-compatible',
        base_url: `simulator:${name}/v1`,
        keys: [`key-of-${name}`],
        retry: { attempts: 0 },
        models: { m: { price: PRICE } },
        ...more,
      },
    ]),
  ),
  routes: ROUTES,
  clients: CLIENTS,
})

async function trouble(gateway: Running): Promise<void> {
  const call = async (client: string, model: string, more: object = {}) => {
    const headers = { authorization: `Bearer client-key-of-${client}` }
    await (await gateway.call({ model, messages: HELLO, max_tokens: 50, ...more }, { headers })).text()
  }
  const stream = { stream: true }
  const all = (times: number, ...args: Parameters<typeof call>) => Promise.all(Array.from({ length: times }, () => call(...args)))
  await Promise.all([
    all(6, 'search', 'chat'),
    all(6, 'search', 'chat', stream),
    all(2, 'search', 'keys'),
    all(2, 'search', 'hedged', stream),
    all(2, 'search', 'spliced', stream),
    all(6, 'search', 'broken', stream),
    all(2, 'search', 'degraded'),
    all(6, 'search', 'exhausted'),
    all(3, 'search', 'capped'),
    all(2, 'search', 'unpriced'),
    all(4, 'hasty', 'chat'),
    all(2, 'poor', 'chat'),
    all(24, 'search', 'slow', stream),
    abandoned(gateway),
  ])
  // One fills the cache, the other is answered from it.
  for (let at = 0; at < 2; at++) await call('search', 'cached')
  // By now its median is known.
  await all(8, 'search', 'slow', stream)
}

/** A client leaves in the middle of its stream. */
async function abandoned(gateway: Running): Promise<void> {
  const leaves = new AbortController()
  const headers = { authorization: 'Bearer client-key-of-search' }
  const response = await gateway.call({ model: 'dripping', messages: HELLO, stream: true }, { headers, signal: leaves.signal })
  await response.body!.getReader().read()
  leaves.abort()
}

export async function watchedUnderFaults(): Promise<Watched> {
  const gateway = await running(CONFIG)
  const prometheus = await startPrometheus(scraping(gateway.adminUrl))
  const from = Date.now() / 1000
  try {
    // One call is under way all the while.
    const stays = await gateway.call(
      { model: 'dripping', messages: HELLO, stream: true },
      { headers: { authorization: 'Bearer client-key-of-search' } },
    )
    await prometheus.scraped()
    for (let round = 0; round < 3; round++) {
      await trouble(gateway)
      await prometheus.scraped()
      await prometheus.scraped()
    }
    const to = Date.now() / 1000
    await stays.body!.cancel()
    await until('nothing is under way', () => gateway.server.active() === 0)
    return {
      prometheus,
      gateway,
      from,
      to,
      close: async () => void (await Promise.all([prometheus.stop(), gateway.close()])),
    }
  } catch (error) {
    await Promise.all([prometheus.stop(), gateway.close()])
    throw error
  }
}
