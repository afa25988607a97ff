import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { Fault } from '../../../src/core/fault.ts'
import { bedrock } from '../../../src/providers/bedrock/bedrock.ts'
import { authorize, type Chain, regionOf, signing } from '../../../src/providers/bedrock/sign.ts'
import { callOf } from '../calls.ts'
import { HAIKU, PROFILE, targetFor } from './calls.ts'
import { authorizationOf } from './sigv4.ts'

const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const CALL = callOf('{"model":"route","messages":[{"role":"user","content":"Wie hoch? 🗼"}]}')

/** The reference's word on what was signed. */
function expected(model: string, signed: Readonly<Record<string, string>>, accessKeyId = 'AKIDEXAMPLE'): string {
  const request = bedrock.encode(CALL, targetFor(model))
  const { authorization: _, ...others } = signed
  const headers = { host: 'bedrock-runtime.eu-west-1.amazonaws.com', ...others }
  const scope = { accessKeyId, secretAccessKey: SECRET, region: 'eu-west-1', service: 'bedrock' }
  return authorizationOf({ method: 'POST', path: request.path, query: '', headers, body: String(request.body) }, scope)
}

function sign(model: string, key: string, signer = signing()) {
  const target = targetFor(model)
  return signer.sign(bedrock.encode(CALL, target), target, key)
}

describe('requests to Bedrock', () => {
  beforeEach(() => mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 2, 1, 12, 30, 5) }))
  afterEach(() => mock.timers.reset())

  it('are judged here by a reference that gives the signature of AWS’s own published example', () => {
    const headers = {
      'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
      host: 'iam.amazonaws.com',
      'x-amz-date': '20150830T123600Z',
    }
    const scope = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: SECRET, region: 'us-east-1', service: 'iam' }
    const query = 'Action=ListUsers&Version=2010-05-08'
    assert.match(
      authorizationOf({ method: 'GET', path: '/', query, headers, body: '' }, scope),
      /Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7$/,
    )
  })

  it('are signed over the encoded path, the body, its type and the date', async () => {
    for (const model of [HAIKU, PROFILE]) {
      const signed = await sign(model, `AKIDEXAMPLE:${SECRET}`)
      assert.deepEqual(Object.keys(signed).sort(), ['authorization', 'content-type', 'x-amz-content-sha256', 'x-amz-date'])
      assert.equal(signed['x-amz-date'], '20260301T123005Z')
      assert.equal(signed['content-type'], 'application/json')
      assert.equal(signed.authorization, expected(model, signed))
    }
  })

  it('are signed with the token of temporary credentials', async () => {
    const signed = await sign(HAIKU, `AKIDEXAMPLE:${SECRET}:to:ken==`)
    assert.equal(signed['x-amz-security-token'], 'to:ken==')
    assert.equal(signed.authorization, expected(HAIKU, signed))
  })

  it('show an API key as it is, and are not signed', async () => {
    assert.deepEqual(authorize('ABSKabc='), { authorization: 'Bearer ABSKabc=' })
    assert.deepEqual(await sign(HAIKU, 'ABSKabc='), {})
  })

  it('show nothing where there is no key, or one that signs', async () => {
    for (const key of ['', 'default', `AKIDEXAMPLE:${SECRET}`]) assert.deepEqual(authorize(key), {}, key)
    assert.deepEqual(await sign(HAIKU, ''), {})
  })

  it('are signed by what is found on this machine where the key says so, and the chain is made once', async () => {
    let made = 0
    const chain: Chain = async () => ({ accessKeyId: 'FOUND', secretAccessKey: SECRET })
    const signer = signing(async () => {
      made++
      return chain
    })
    const [one, other] = await Promise.all([sign(HAIKU, 'default', signer), sign(HAIKU, 'default', signer)])
    assert.equal(one.authorization, expected(HAIKU, one, 'FOUND'))
    assert.equal(one.authorization, other.authorization)
    assert.equal(made, 1)
  })

  it('fail as a refused key where nothing is found', async () => {
    const signer = signing(async () => async () => {
      throw new Error('Could not load credentials from any providers')
    })
    await assert.rejects(sign(HAIKU, 'default', signer), (thrown: unknown) => {
      assert.ok(thrown instanceof Fault)
      assert.equal(thrown.kind, 'upstream-refused-key')
      assert.match(thrown.details.detail!, /no AWS credentials on this machine: Could not load/)
      return true
    })
  })

  it('look for new credentials once those that were found are refused as expired', async () => {
    const asked: (boolean | undefined)[] = []
    const signer = signing(async () => async options => {
      asked.push(options?.forceRefresh)
      return { accessKeyId: 'FOUND', secretAccessKey: SECRET }
    })
    const expired = new Fault('upstream-refused-key', { detail: '403 ExpiredTokenException The security token … is expired' })
    const invalid = new Fault('upstream-refused-key', { detail: '403 UnrecognizedClientException' })
    await sign(HAIKU, 'default', signer)
    assert.equal(signer.renews('default', {}, invalid), false)
    assert.equal(signer.renews(`AKIDEXAMPLE:${SECRET}`, {}, expired), false)
    await sign(HAIKU, 'default', signer)
    assert.equal(signer.renews('default', {}, expired), true)
    await sign(HAIKU, 'default', signer)
    await sign(HAIKU, 'default', signer)
    assert.deepEqual(asked, [undefined, undefined, true, undefined])
  })

  it('are for the region that the host name tells', () => {
    const regions = {
      'bedrock-runtime.us-west-2.amazonaws.com': 'us-west-2',
      'bedrock-runtime-fips.us-gov-west-1.amazonaws.com': 'us-gov-west-1',
      'bedrock-runtime.cn-north-1.amazonaws.com.cn': 'cn-north-1',
      'vpce-0a1-b2.bedrock-runtime.eu-central-1.vpce.amazonaws.com': 'eu-central-1',
      'bedrock-runtime.ap-southeast-2.api.aws': 'ap-southeast-2',
      localhost: 'us-east-1',
    }
    for (const [host, region] of Object.entries(regions)) assert.equal(regionOf(host), region, host)
  })
})

describe("AWS's own chain of credentials", () => {
  it('finds those of the environment', async () => {
    const before = { ...process.env }
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: SECRET, AWS_SESSION_TOKEN: 'token' })
    delete process.env.AWS_PROFILE
    try {
      const signed = await sign(HAIKU, 'default')
      assert.equal(signed['x-amz-security-token'], 'token')
      assert.equal(signed.authorization, expected(HAIKU, signed))
    } finally {
      process.env = before
    }
  })
})
