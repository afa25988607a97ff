import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../../src/core/clock.ts'
import { credentialsOf, grantOf } from '../../../src/providers/vertex/credentials.ts'

test('what stands in the place of a key is told by its form', () => {
  assert.deepEqual(credentialsOf('AIza1'), { kind: 'api-key', key: 'AIza1' })
  assert.deepEqual(credentialsOf('{not json'), { kind: 'api-key', key: '{not json' })
  assert.deepEqual(credentialsOf('adc'), { kind: 'library', json: undefined, project: undefined })
  const user = { type: 'authorized_user', project_id: 3 }
  assert.deepEqual(credentialsOf(JSON.stringify(user)), { kind: 'library', json: user, project: undefined })
  const account = { type: 'service_account', project_id: 'p' }
  assert.deepEqual(credentialsOf(JSON.stringify(account)), { kind: 'service-account', json: account, project: 'p' })
})

async function exchanging(
  status: number,
  body: object,
  check: (token_url: string, file: string) => Promise<void>,
): Promise<URLSearchParams> {
  let asked = ''
  const server = createServer(async (request, response) => {
    for await (const chunk of request) asked += chunk
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const folder = mkdtempSync(join(tmpdir(), 'understudy-'))
  try {
    const file = join(folder, 'subject')
    writeFileSync(file, 'subject-token')
    await check(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/token`, file)
  } finally {
    rmSync(folder, { recursive: true })
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
  return new URLSearchParams(asked)
}

/** Workload identity: a token of somebody else's is exchanged for one of Google's. */
const federated = (token_url: string, file: string) => ({
  type: 'external_account',
  audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
  subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
  token_url,
  credential_source: { file },
})

test("other kinds of credentials are exchanged by Google's library", async () => {
  const given = { access_token: 'ya29.federated', expires_in: 1_800, token_type: 'Bearer', issued_token_type: 'x' }
  const asked = await exchanging(200, given, async (address, file) => {
    const json = federated(address, file)
    const grant = await grantOf({ kind: 'library', json, project: undefined }, systemClock)
    assert.equal(grant.headers.authorization, 'Bearer ya29.federated')
    const lifeMs = grant.expiresMs - systemClock.now()
    assert.ok(lifeMs > 1_700_000 && lifeMs <= 1_800_000, String(lifeMs))
  })
  assert.equal(asked.get('subject_token'), 'subject-token')
})

test('credentials that Google refuses are a refused key', async () => {
  const kind = 'upstream-refused-key'
  for (const status of [400, 401]) {
    await exchanging(status, { error: 'invalid_grant', error_description: 'no' }, async (address, file) => {
      await assert.rejects(
        grantOf({ kind: 'library', json: federated(address, file), project: undefined }, systemClock),
        { kind },
        `${status}`,
      )
    })
  }
})

test('credentials of a kind that nobody knows are a refused key', async () => {
  for (const json of [{ type: 'odd' }, {}]) {
    await assert.rejects(grantOf({ kind: 'library', json, project: undefined }, systemClock), { kind: 'upstream-refused-key' })
  }
})
