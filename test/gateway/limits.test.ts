/* Limits, budgets and caps through a whole gateway: real sockets, and a clock that is held where a minute or a midnight matters. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Store } from '../../src/core/store.ts'
import { embeddedStore } from '../../src/state/embedded.ts'
import { estimatedInputTokens } from '../../src/usage/estimate.ts'
import { heldClock } from '../support/clock.ts'
import { HELLO, type Running, type RunningOptions, running, until } from '../support/running.ts'
import { madeCall } from './made.ts'

const KEY = 'client-key-of-the-team'
const SHOWN = { authorization: `Bearer ${KEY}` }
const MIDNIGHT = Date.parse('2026-11-28T00:00:00Z')
/** Every token costs a ten-thousandth of a dollar. */
const PRICE = { input: 100, output: 100 }
const TOKEN_USD = 0.0001

interface Options extends RunningOptions {
  readonly client?: object
  readonly script?: readonly object[]
  readonly primary?: object
  readonly more?: object
}

/** A route `r` with the one target `primary/m`, and `pair` with `backup/m` behind it. Provider keys and circuits stay out of the way. */
function limited({ client = {}, script = [], primary = {}, more = {}, ...options }: Options): Promise<Running> {
  const provider = (name: string, settings: object) => ({
    type: 'openai-compatible',
    base_url: `simulator:${name}/v1`,
    retry: { attempts: 0 },
    circuit: { failures: 100_000, ratio: 1, min_calls: 100_000 },
    models: { m: { price: PRICE } },
    timeouts: { connect: '10s', first_token: '60s', idle: '60s' },
    ...settings,
  })
  const yaml = JSON.stringify({
    admin: { token: 'operator' },
    simulators: [{ name: 'primary', answer: 'One two three.', script }, { name: 'backup' }],
    providers: { primary: provider('primary', primary), backup: provider('backup', {}) },
    routes: { r: { targets: ['primary/m'], deadline: '10m' }, pair: ['primary/m', 'backup/m'] },
    clients: [{ name: 'team', key: KEY, ...client }],
    ...more,
  })
  return running(yaml, options)
}

const BODY = { model: 'r', messages: HELLO, max_tokens: 20 }
/** What a call with BODY reserves, in tokens. */
const reserved = (more: object = {}) => estimatedInputTokens(madeCall({ ...BODY, ...more })) + 20
const RESERVED = reserved()

const call = (gateway: Running, more: object = {}, signal?: AbortSignal) =>
  gateway.call({ ...BODY, ...more }, { headers: SHOWN, ...(signal !== undefined && { signal }) })

async function codeOf(response: Response): Promise<string> {
  const body = (await response.json()) as { error?: { code: string } }
  return response.status === 200 ? 'answered' : body.error!.code
}

async function spendOf(gateway: Running): Promise<any> {
  const response = await fetch(`${gateway.adminUrl}/admin/spend`, { headers: { authorization: 'Bearer operator' } })
  assert.equal(response.status, 200)
  return response.json()
}

const counted = (all: readonly string[], code: string) => all.filter(each => each === code).length

/** What 1,000 calls at once come to while none of those that pass is answered. */
async function thousandUnanswered(gateway: Running, fits: number, code: string): Promise<void> {
  const codes: string[] = []
  const leaving = new AbortController()
  const calls = Array.from({ length: 1_000 }, () =>
    call(gateway, {}, leaving.signal).then(
      async response => codes.push(await codeOf(response)),
      () => codes.push('left'),
    ),
  )
  await until('all others are refused', () => codes.length === 1_000 - fits, 20_000)
  await until('those that passed are at the provider', () => gateway.simulators.get('primary')!.counts.open === fits, 20_000)
  assert.equal(counted(codes, code), 1_000 - fits)
  leaving.abort()
  await Promise.all(calls)
  assert.equal(counted(codes, 'left'), fits)
  await until('the provider is left alone', () => gateway.simulators.get('primary')!.counts.open === 0, 10_000)
  await until('all calls are closed', () => gateway.server.active() === 0, 10_000)
}

for (const [limit, client, fits, code] of [
  ['concurrency', { concurrency: 70 }, 70, 'rate_limit_exceeded'],
  ['tokens a minute', { tpm: 70 * RESERVED + RESERVED - 1 }, 70, 'rate_limit_exceeded'],
  ['a budget', { budget: { usd: (70 * RESERVED + RESERVED - 1) * TOKEN_USD, per: 'day' } }, 70, 'insufficient_quota'],
] as const) {
  test(`1,000 calls at once at the edge of ${limit}: exactly those pass that fit, and when they end others fit`, async () => {
    const gateway = await limited({ client, script: [{ never_answer: true }], clock: heldClock(MIDNIGHT) })
    try {
      await thousandUnanswered(gateway, fits, code)
      await thousandUnanswered(gateway, fits, code)
    } finally {
      await gateway.close()
    }
  })
}

test('1,000 calls at once at the edge of requests a minute: exactly those pass that fit', async () => {
  const gateway = await limited({ client: { rpm: 300 }, clock: heldClock(MIDNIGHT) })
  try {
    const codes = await Promise.all(Array.from({ length: 1_000 }, () => call(gateway).then(codeOf)))
    assert.deepEqual([counted(codes, 'answered'), counted(codes, 'rate_limit_exceeded')], [300, 700])
    assert.equal(gateway.simulators.get('primary')!.counts.total, 300)
    assert.equal(await gateway.metric('llm_limited_total', { client: 'team', limit: 'rpm' }), 700)
  } finally {
    await gateway.close()
  }
})

test('two gateways on one store let 1,000 calls at once pass as one would', async () => {
  const clock = heldClock(MIDNIGHT)
  const store = embeddedStore(clock)
  const client = { rpm: 300, budget: { usd: 250 * RESERVED * TOKEN_USD, per: 'hour' } }
  const script = [{ never_answer: true }]
  const gateways = await Promise.all([limited({ client, script, clock, store }), limited({ client, script, clock, store })])
  const leaving = new AbortController()
  try {
    const codes: string[] = []
    const calls = Array.from({ length: 1_000 }, (_, at) =>
      call(gateways[at % 2]!, {}, leaving.signal).then(
        async response => codes.push(await codeOf(response)),
        () => {},
      ),
    )
    const open = () => gateways.reduce((sum, { simulators }) => sum + simulators.get('primary')!.counts.open, 0)
    await until('those pass that fit', () => codes.length === 750 && open() === 250, 20_000)
    assert.equal(counted(codes, 'insufficient_quota'), 750)
    leaving.abort()
    await Promise.all(calls)
    // A request that was refused by the budget was not counted as one: of 300 a minute, 50 are left.
    await until('the budget is whole again', async () => (await spendOf(gateways[0]!)).clients[0].usd === 0)
    const again = new AbortController()
    const more: string[] = []
    const others = Array.from({ length: 100 }, (_, at) =>
      call(gateways[at % 2]!, {}, again.signal).then(
        async response => more.push(await codeOf(response)),
        () => {},
      ),
    )
    await until('the rest is refused', () => more.length === 50, 20_000)
    assert.equal(counted(more, 'rate_limit_exceeded'), 50)
    again.abort()
    await Promise.all(others)
  } finally {
    await Promise.all(gateways.map(gateway => gateway.close()))
  }
})

test('1,000 calls that are answered at once, some badly, never overrun a budget, and use it up', async () => {
  const usd = 200 * RESERVED * TOKEN_USD
  const script = [
    { every: 7, status: 500 },
    { every: 5, cut_after: 2 },
  ]
  const gateway = await limited({ client: { budget: { usd, per: 'day' } }, script, clock: heldClock(MIDNIGHT) })
  try {
    const calls = Array.from({ length: 1_000 }, (_, at) =>
      call(gateway, { stream: at % 2 === 0 }).then(response => response.text()),
    )
    await Promise.all(calls)
    await until('all calls are closed', () => gateway.server.active() === 0)
    for (let more = 0; more < 5_000; more++) {
      if ((await codeOf(await call(gateway))) === 'insufficient_quota') break
    }
    const [{ usd: used, remaining_usd: remaining }] = (await spendOf(gateway)).clients
    assert.ok(used <= usd, `${used} of ${usd} US$`)
    assert.ok(remaining < RESERVED * TOKEN_USD, `${remaining} US$ are left, and calls are refused`)
    // What was settled is what the log tells, call by call; an answer that broke off untold is paid as it was estimated.
    const answers = gateway.logs().filter(({ msg, target }) => msg === 'call' && target !== undefined)
    const told = answers.reduce((sum, { costUsd }) => sum + (costUsd ?? reserved({ stream: true }) * TOKEN_USD), 0)
    assert.ok(Math.abs(told - used) < 1e-9, `${told} US$ in the log, ${used} US$ of the budget`)
  } finally {
    await gateway.close()
  }
})

test('an answer tells what is left of the minute; a refusal when to come back, and then the call passes', async () => {
  const clock = heldClock(MIDNIGHT + 20_000)
  const gateway = await limited({ client: { rpm: 2, tpm: 10_000 }, clock })
  try {
    const first = await call(gateway)
    const told = Object.fromEntries([...first.headers].filter(([name]) => name.startsWith('x-ratelimit-')))
    assert.deepEqual(told, {
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': '1',
      'x-ratelimit-reset-requests': '1m40s',
      'x-ratelimit-limit-tokens': '10000',
      'x-ratelimit-remaining-tokens': String(10_000 - RESERVED),
      'x-ratelimit-reset-tokens': '1m40s',
    })
    const stream = await call(gateway, { stream: true })
    assert.equal(stream.headers.get('x-ratelimit-remaining-requests'), '0')
    await stream.text()

    const refused = await call(gateway)
    assert.equal(refused.status, 429)
    assert.equal(refused.headers.get('x-should-retry'), 'true')
    assert.equal(refused.headers.get('x-ratelimit-remaining-requests'), '0')
    // Both requests stand in the minute that ends in 40 s, and the first of them has faded after half of the next one.
    assert.equal(refused.headers.get('retry-after'), '70')
    const { error } = (await refused.json()) as any
    assert.deepEqual([error.type, error.code, error.param], ['rate_limit_error', 'rate_limit_exceeded', null])
    assert.match(error.message, /requests per minute: the limit is 2\. Please try again in 1m10s\./)
    await clock.pass(69_000)
    assert.equal(await codeOf(await call(gateway)), 'rate_limit_exceeded')
    await clock.pass(1_000)
    assert.equal(await codeOf(await call(gateway)), 'answered')
  } finally {
    await gateway.close()
  }
})

test('a client that leaves while its limits are being asked gives back what it took', async () => {
  const inner = embeddedStore(heldClock())
  let open = () => {}
  const gate = new Promise<void>(resolve => {
    open = resolve
  })
  const store: Store = { ...inner, take: (id, wants) => gate.then(() => inner.take(id, wants)) }
  const gateway = await limited({ client: { concurrency: 1 }, store })
  try {
    const leaving = new AbortController()
    const left = call(gateway, {}, leaving.signal).catch(() => 'left')
    await until('the call is there', () => gateway.server.active() === 1)
    leaving.abort()
    assert.equal(await left, 'left')
    await until('the gateway knows', () => gateway.server.active() === 0)
    open()
    await until('it is closed', () => gateway.logs().some(({ msg, ending }) => msg === 'call' && ending === 'abandoned'))
    assert.equal(gateway.simulators.get('primary')!.counts.total, 0)
    assert.equal(await codeOf(await call(gateway)), 'answered')
  } finally {
    await gateway.close()
  }
})

test('a client without limits is told of none, and its calls ask the store for nothing', async () => {
  const asked: string[] = []
  const store = new Proxy(embeddedStore(heldClock()), {
    get:
      (of, name: keyof Store) =>
      (...args: never[]) => {
        asked.push(name)
        return (of[name] as (...args: never[]) => unknown)(...args)
      },
  })
  const gateway = await limited({ store, clock: heldClock() })
  asked.length = 0
  try {
    const response = await call(gateway)
    assert.equal(await codeOf(response), 'answered')
    assert.deepEqual(
      [...response.headers.keys()].filter(name => name.startsWith('x-ratelimit-')),
      [],
    )
    assert.deepEqual(asked, [])
  } finally {
    await gateway.close()
  }
})

test('a budget that is used up refuses until midnight in UTC, and says so', async () => {
  const clock = heldClock(MIDNIGHT - 90_500)
  const gateway = await limited({ client: { budget: { usd: RESERVED * TOKEN_USD, per: 'day' } }, clock })
  try {
    assert.equal(await codeOf(await call(gateway)), 'answered')
    const refused = await call(gateway)
    assert.equal(refused.status, 429)
    assert.equal(refused.headers.get('x-should-retry'), 'false')
    assert.equal(refused.headers.get('retry-after'), '91')
    const { error } = (await refused.json()) as any
    assert.deepEqual([error.type, error.code], ['insufficient_quota', 'insufficient_quota'])
    assert.match(error.message, /a day.*renewed at 2026-11-28T00:00:00Z/)
    assert.equal(await gateway.metric('llm_limited_total', { client: 'team', limit: 'budget' }), 1)
    const left = await gateway.metric('llm_budget_remaining_usd', { client: 'team' })
    assert.ok(left > 0 && left < RESERVED * TOKEN_USD)
    await clock.pass(90_500)
    assert.equal(await gateway.metric('llm_budget_remaining_usd', { client: 'team' }), Number((RESERVED * TOKEN_USD).toFixed(9)))
    assert.equal(await codeOf(await call(gateway)), 'answered')
  } finally {
    await gateway.close()
  }
})

test('a call of unknown length uses up the rest of a small budget, and is refused only when nothing is left', async () => {
  const gateway = await limited({ client: { budget: { usd: 0.01, per: 'month' } }, clock: heldClock(MIDNIGHT) })
  try {
    const codes: string[] = []
    for (let calls = 0; calls < 50; calls++)
      codes.push(await codeOf(await gateway.call({ model: 'r', messages: HELLO }, { headers: SHOWN })))
    const answered = counted(codes, 'answered')
    assert.ok(answered >= 3, `${answered} were answered`)
    assert.deepEqual(codes.slice(answered), Array(50 - answered).fill('insufficient_quota'))
    const [{ usd }] = (await spendOf(gateway)).clients
    const each = usd / answered
    assert.ok(usd <= 0.01 + each, `${usd} US$ at ${each} each`)
  } finally {
    await gateway.close()
  }
})

test('an attempt that failed but told what it used is paid by the budget and counted at its provider', async () => {
  const script = [{ stream: true, cut_after: 3, cut_how: 'clean' }]
  const gateway = await limited({ client: { budget: { usd: 1, per: 'day' } }, script })
  try {
    const response = await call(gateway, { stream: true })
    assert.match(await response.text(), /"error"/)
    await until('it is closed', () => gateway.server.active() === 0)
    const { providers, clients } = await spendOf(gateway)
    assert.ok(clients[0].usd > 0, 'an answer that broke off is not free')
    assert.equal(providers.find(({ provider }: any) => provider === 'primary').usd, clients[0].usd)
  } finally {
    await gateway.close()
  }
})

test('a provider at its cap is passed over with its reason, comes back at midnight, and other providers go on', async () => {
  const clock = heldClock(MIDNIGHT - 60_000)
  const gateway = await limited({
    primary: { spend_cap: { usd: 0.001, per: 'day' } },
    more: { telemetry: { headers: 'full' } },
    clock,
  })
  try {
    const trails: string[] = []
    for (let calls = 0; calls < 5; calls++) {
      const response = await call(gateway, { model: 'pair' })
      assert.equal(await codeOf(response), 'answered')
      trails.push(response.headers.get('x-understudy-trail')!.replaceAll(/;\d+ms/g, ''))
    }
    assert.equal(trails[0], 'primary/m;answered')
    assert.equal(trails[4], 'primary/m;passed-over:spend-cap, backup/m;answered')
    assert.ok((await gateway.metric('llm_spend_usd', { provider: 'primary', period: 'day' })) >= 0.001)
    assert.ok((await gateway.metric('llm_attempts_total', { provider: 'primary', outcome: 'passed-over:spend-cap' })) > 0)
    const [primary] = (await spendOf(gateway)).providers
    assert.deepEqual(
      [primary.capped, primary.cap_usd, primary.remaining_usd, primary.renews],
      [true, 0.001, 0, '2026-11-28T00:00:00.000Z'],
    )

    const alone = await call(gateway)
    assert.equal(alone.status, 503)
    assert.equal(alone.headers.get('retry-after'), '60')
    assert.equal(await codeOf(alone), 'all_targets_failed')
    await clock.pass(60_000)
    assert.equal(await codeOf(await call(gateway)), 'answered')
  } finally {
    await gateway.close()
  }
})

test('an unknown price is told at the start, and taken to be the dearest that is known', async () => {
  const gateway = await limited({
    client: { budget: { usd: 1, per: 'day' } },
    primary: { models: {} },
    clock: heldClock(MIDNIGHT),
  })
  try {
    const told = gateway.logs().filter(({ msg }) => msg === 'unpriced')
    assert.deepEqual(
      told.map(({ target, assumed }) => [target, assumed]),
      [['primary/m', PRICE]],
    )
    assert.equal(await codeOf(await call(gateway)), 'answered')
    const { clients, providers } = await spendOf(gateway)
    assert.ok(clients[0].usd > 0)
    assert.equal(providers[0].usd, clients[0].usd)
    assert.equal(await gateway.metric('llm_unpriced_requests_total', { target: 'primary/m' }), 1)
  } finally {
    await gateway.close()
  }
})

test('what each provider and each client spent is to be seen, with what remains of budgets', async () => {
  const clients = [
    { name: 'team', key: KEY, budget: { usd: 5, per: 'month' } },
    { name: 'other', key: 'key-of-the-other-team' },
  ]
  const gateway = await limited({ more: { clients }, clock: heldClock(MIDNIGHT) })
  try {
    await (await call(gateway)).text()
    const body = { ...BODY, model: 'r' }
    await (await gateway.call(body, { headers: { authorization: 'Bearer key-of-the-other-team' } })).text()
    const report = await spendOf(gateway)
    const { usd } = report.clients[0]
    assert.ok(usd > 0)
    assert.deepEqual(report, {
      providers: [
        {
          provider: 'primary',
          per: 'day',
          period: '2026-11-28',
          usd: 2 * usd,
          renews: '2026-11-29T00:00:00.000Z',
          capped: false,
        },
        { provider: 'backup', per: 'day', period: '2026-11-28', usd: 0, renews: '2026-11-29T00:00:00.000Z', capped: false },
      ],
      clients: [
        {
          client: 'team',
          per: 'month',
          period: '2026-11',
          usd,
          budget_usd: 5,
          remaining_usd: 5 - usd,
          renews: '2026-12-01T00:00:00.000Z',
        },
        { client: 'other', per: 'day', period: '2026-11-28', usd, renews: '2026-11-29T00:00:00.000Z' },
      ],
    })
  } finally {
    await gateway.close()
  }
})
