/*
 * Gateways that share one Redis, and upstreams that they share as well: what an upstream has counted is the truth that everything else is
 * held against.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ScriptRule, simulator } from '../../src/config/simulation.ts'
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts'
import { HELLO, type Running, running, until } from './running.ts'

export interface Stage {
  /** Begins the names of all keys in Redis. */
  readonly prefix: string
  /** An upstream that all gateways of this stage may call. */
  upstream(name: string, settings?: { readonly script?: readonly ScriptRule[]; readonly answer?: string }): Promise<Simulator>
  /** A configuration completed by Redis, an operator's token and whatever else is the same for all tests. */
  configured(config: object): object
  /** Two gateways, or `count`, of one configuration. */
  gateways(config: object, count?: number): Promise<readonly [Running, Running]>
  close(): Promise<void>
}

const OPERATOR = 'operator-token'
export const CLIENT_KEY = 'client-key-of-the-team'
/** Every token costs a ten-thousandth of a dollar. */
export const TOKEN_USD = 0.0001
/** What is well must not fail because the machine is busy. */
const PATIENT = { connect: '10s', first_token: '60s', idle: '60s' }

/** @param state further settings of the section `state` */
export function stage(redisUrl: string, state: object = {}): Stage {
  const prefix = randomUUID()
  const upstreams: Simulator[] = []
  const open: Running[] = []
  const configured = (config: object) => ({
    admin: { token: OPERATOR },
    state: { redis: redisUrl, prefix, ...state },
    ...config,
  })
  return {
    prefix,
    async upstream(name, settings = {}) {
      const one = await startSimulator(simulator.parse({ name, ...settings }))
      upstreams.push(one)
      return one
    },
    configured,
    async gateways(config, count = 2) {
      // JSON is YAML.
      const yaml = JSON.stringify(configured(config))
      const started = await Promise.all(Array.from({ length: count }, () => running(yaml)))
      open.push(...started)
      return started as unknown as readonly [Running, Running]
    },
    async close() {
      await Promise.all(open.map(gateway => gateway.close()))
      await Promise.all(upstreams.map(upstream => upstream.close()))
    },
  }
}

/** A provider whose API this upstream speaks. Retries and circuits stay out of the way unless they are wanted. */
export function providerAt({ url }: Simulator, settings: object = {}): object {
  return {
    type: 'openai-compatible',
    base_url: `${url}/v1`,
    keys: ['key'],
    retry: { attempts: 0 },
    circuit: { failures: 100_000, ratio: 1, min_calls: 100_000 },
    models: { m: { price: { input: TOKEN_USD * 1e6, output: TOKEN_USD * 1e6 } } },
    timeouts: PATIENT,
    ...settings,
  }
}

export const BODY = { model: 'r', messages: HELLO, max_tokens: 20 }

export function call(
  gateway: Pick<Running, 'url'>,
  more: object = {},
  signal?: AbortSignal,
  key = CLIENT_KEY,
): Promise<Response> {
  return fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ ...BODY, ...more }),
    ...(signal !== undefined && { signal }),
  })
}

/** "answered", or the code of the refusal. */
export async function codeOf(response: Response): Promise<string> {
  const body = (await response.json()) as { error?: { code: string } }
  return response.status === 200 ? 'answered' : body.error!.code
}

export async function admin(gateway: Running, method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<any> {
  const response = await fetch(`${gateway.adminUrl}/admin/${path}`, {
    method,
    headers: { authorization: `Bearer ${OPERATOR}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const told = await response.json()
  assert.equal(response.status, 200, JSON.stringify(told))
  return told
}

/** What the store has of a client's budget. */
export async function spentUsd(gateway: Running, client = 'team'): Promise<number> {
  const { clients } = await admin(gateway, 'GET', 'spend')
  return clients.find((one: any) => one.client === client).usd
}

export const degraded = (gateway: Running) => gateway.metric('llm_state_degraded')

/** How one call of a load went. Times are those of `performance.now()`. */
export interface Went {
  readonly startedAt: number
  readonly ms: number
  /** 0 when the connection was lost. */
  readonly status: number
  /** The body, where the status is not 200; "lost" where there is none. */
  readonly told: string
}

export interface Load {
  /** So far. */
  readonly went: readonly Went[]
  /** Resolves when so many more have been answered. */
  more(count: number): Promise<void>
  /** Resolves when the last one is answered. */
  stop(): Promise<void>
}

/** How many calls of a load are under way at once. */
export const WORKERS = 4
const PAUSE_MS = 10

/** Calls without an end, spread over the gateways, a few at a time; whoever loses his gateway calls no more. @param bodyOf the body of each call, from 0 */
export function load(gateways: readonly Pick<Running, 'url'>[], bodyOf: (at: number) => object, workers = WORKERS): Load {
  const went: Went[] = []
  let begun = 0
  let stopped = false
  const all = Promise.all(
    Array.from({ length: workers }, async (_, worker) => {
      while (!stopped) {
        const startedAt = performance.now()
        const [status, told] = await howItWent(call(gateways[worker % gateways.length]!, bodyOf(begun++)))
        went.push({ startedAt, ms: performance.now() - startedAt, status, told })
        if (status === 0) break
        await sleep(PAUSE_MS)
      }
    }),
  )
  return {
    went,
    async more(count) {
      const wanted = went.length + count
      await until(`${count} more calls are answered`, () => went.length >= wanted, 20_000)
    },
    async stop() {
      stopped = true
      await all
    },
  }
}

/** A stream that broke off after a good beginning went as badly as a refusal. */
async function howItWent(answer: Promise<Response>): Promise<readonly [status: number, told: string]> {
  try {
    const response = await answer
    const text = await response.text()
    return [response.status, response.status === 200 && !text.includes('"error"') ? '' : text]
  } catch {
    return [0, 'lost']
  }
}

/** What the log lines of these gateways say that the calls of a client cost. */
export function loggedUsd(gateways: readonly Running[], name = 'team'): number {
  const lines = gateways.flatMap(gateway => gateway.logs()).filter(({ msg, client }) => msg === 'call' && client === name)
  return lines.reduce((sum, { costUsd }) => sum + (costUsd ?? 0), 0)
}

/** Every answer that an upstream gave is an attempt that was answered, at whichever gateway, and no other is. */
export async function assertAttempts(
  gateways: readonly Running[],
  upstreams: Readonly<Record<string, Simulator>>,
): Promise<void> {
  for (const [provider, { counts }] of Object.entries(upstreams)) {
    const told = await Promise.all(gateways.map(one => one.metric('llm_attempts_total', { provider, outcome: 'answered' })))
    assert.equal(told[0]! + (told[1] ?? 0), counts.answered, `${provider}: answered attempts, and answers`)
  }
}

export const assertUsd = (told: number, expected: number, what: string) =>
  assert.ok(Math.abs(told - expected) < 1e-6, `${what}: US$ ${told}, and US$ ${expected} were spent`)
