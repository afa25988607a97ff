import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Fault } from '../../../src/core/fault.ts'
import { vertexBy } from '../../../src/providers/vertex/vertex.ts'
import { type HeldClock, heldClock, settled } from '../../support/clock.ts'
import { targetOf } from '../calls.ts'
import { type Google, google } from './google.ts'

const START_MS = 1_700_000_000_000
const MINUTE_MS = 60_000

describe('tokens of a service account', () => {
  let fake: Google
  let clock: HeldClock
  let vertex: ReturnType<typeof vertexBy>
  const shown = async (key = fake.account) => {
    const headers = await vertex.sign!({ path: '', body: '' }, targetOf(vertex, 'gemini-2.5-flash'), key)
    return headers.authorization
  }
  const refused = new Fault('upstream-refused-key', { upstreamStatus: 401 })

  beforeEach(async () => {
    fake = await google()
    clock = heldClock(START_MS)
    vertex = vertexBy(clock)
  })
  afterEach(() => fake.close())

  it('are asked for with a claim that it has signed', async () => {
    assert.equal(await shown(), 'Bearer ya29.token-1')
    assert.deepEqual(fake.claims, [
      {
        iss: 'keeper@lighthouse-1.iam.gserviceaccount.com',
        scope: 'https://www.googleapis.com/auth/cloud-platform',
        aud: `${fake.url}/token`,
        iat: START_MS / 1000,
        exp: START_MS / 1000 + 3_600,
      },
    ])
  })

  it('are asked for once by a hundred calls at once, and kept', async () => {
    const all = await Promise.all(Array.from({ length: 100 }, () => shown()))
    assert.deepEqual(new Set(all), new Set(['Bearer ya29.token-1']))
    assert.equal(await shown(), 'Bearer ya29.token-1')
    assert.equal(fake.claims.length, 1)
  })

  it('are renewed some minutes before they end, without a wait', async () => {
    await shown()
    await clock.pass(54 * MINUTE_MS)
    assert.equal(await shown(), 'Bearer ya29.token-1')
    assert.equal(fake.claims.length, 1)
    await clock.pass(2 * MINUTE_MS)
    const all = await Promise.all(Array.from({ length: 100 }, () => shown()))
    assert.deepEqual(new Set(all), new Set(['Bearer ya29.token-1']), 'the old one still serves')
    await renewedTo('Bearer ya29.token-2')
    assert.equal(fake.claims.length, 2)
  })

  it('serve to their end while no others can be had', async () => {
    await shown()
    fake.refuse({ status: 503, body: {} })
    await clock.pass(56 * MINUTE_MS)
    assert.equal(await shown(), 'Bearer ya29.token-1')
    await until(() => fake.claims.length === 2)
    assert.equal(await shown(), 'Bearer ya29.token-1')
    assert.equal(fake.claims.length, 2, 'it is not asked at every call')
    await clock.pass(5 * MINUTE_MS)
    await assert.rejects(shown(), { kind: 'upstream-unreachable' })
    fake.refuse(undefined)
    assert.equal(await shown(), 'Bearer ya29.token-2')
  })

  it('of a short life are renewed at half of it', async () => {
    fake.lifeS = 60
    await shown()
    await clock.pass(29_000)
    await shown()
    assert.equal(fake.claims.length, 1)
    await clock.pass(2_000)
    await shown()
    await renewedTo('Bearer ya29.token-2')
  })

  it('that were refused are forgotten once, however many calls they failed', async () => {
    const headers = await vertex.sign!({ path: '', body: '' }, targetOf(vertex, 'm'), fake.account)
    const calls = Array.from({ length: 100 }, async () => {
      assert.equal(vertex.renews!(fake.account, headers, refused), true)
      return shown()
    })
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(['Bearer ya29.token-2']))
    assert.equal(vertex.renews!(fake.account, headers, refused), true, 'there is a newer one already')
    assert.equal(await shown(), 'Bearer ya29.token-2')
    assert.equal(fake.claims.length, 2)
  })

  it('are not renewed for what a new one would not mend', async () => {
    const headers = await vertex.sign!({ path: '', body: '' }, targetOf(vertex, 'm'), fake.account)
    const forbidden = new Fault('upstream-refused-key', { upstreamStatus: 403 })
    assert.equal(vertex.renews!(fake.account, headers, forbidden), false)
    assert.equal(vertex.renews!(fake.account, headers, new Fault('upstream-error', { upstreamStatus: 500 })), false)
    assert.equal(vertex.renews!('AIza1', {}, refused), false)
    assert.equal(await shown(), 'Bearer ya29.token-1')
  })

  it('are each key’s own', async () => {
    const other = JSON.stringify({ ...JSON.parse(fake.account), project_id: 'other' })
    assert.deepEqual(
      [await shown(), await shown(other), await shown()],
      ['Bearer ya29.token-1', 'Bearer ya29.token-2', 'Bearer ya29.token-1'],
    )
  })

  it('are not to be had by an account that Google does not know', async () => {
    fake.refuse({ status: 400, body: { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' } })
    await assert.rejects(shown(), (fault: Fault) => {
      assert.equal(fault.kind, 'upstream-refused-key')
      assert.equal(fault.details.detail, 'no token: 400 invalid_grant Invalid JWT Signature.')
      return true
    })
  })

  it('are not to be had with half an account, or without anybody who gives them', async () => {
    const account = JSON.parse(fake.account)
    await assert.rejects(shown(JSON.stringify({ ...account, client_email: undefined })), { kind: 'upstream-refused-key' })
    await assert.rejects(shown(JSON.stringify({ ...account, private_key: 'no key' })), { kind: 'upstream-refused-key' })
    await assert.rejects(shown(JSON.stringify({ ...account, token_uri: 'http://127.0.0.1:1/' })), {
      kind: 'upstream-unreachable',
    })
    fake.refuse({ status: 200, body: {} })
    await assert.rejects(shown(), { kind: 'upstream-unreachable' })
  })

  async function renewedTo(token: string): Promise<void> {
    let last: string | undefined
    await until(async () => {
      last = await shown()
      return last === token
    })
    assert.equal(last, token)
  }

  /** Google is over real TCP. */
  async function until(check: () => boolean | Promise<boolean>): Promise<void> {
    for (let turns = 0; turns < 20_000; turns++) {
      if (await check()) return
      await settled()
    }
    assert.fail('it did not come to be')
  }
})
