/** Google on this machine: an endpoint that gives tokens to one service account, and a model that answers those who show a good one. */
import assert from 'node:assert/strict'
import { createVerify, generateKeyPairSync } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })

export interface Google {
  readonly url: string
  /** The JSON of the service account, as in a key file. */
  readonly account: string
  /** What the claims of the requests for tokens said, one after the other. */
  readonly claims: readonly Record<string, unknown>[]
  /** The requests to the model: path, and what was shown. */
  readonly asked: readonly { readonly path: string; readonly shown: string | undefined; readonly body: string }[]
  /** No token given so far is taken any more. */
  withdraw(): void
  /** From now on the endpoint of tokens answers so; undefined: with tokens again. */
  refuse(answer: { readonly status: number; readonly body: object } | undefined): void
  /** From now on no token is taken at all. */
  distrust(): void
  /** How long tokens live. */
  lifeS: number
  close(): Promise<void>
}

const ANSWER = {
  candidates: [{ content: { role: 'model', parts: [{ text: 'Here.' }] }, finishReason: 'STOP' }],
  usageMetadata: { promptTokenCount: 2, candidatesTokenCount: 1, totalTokenCount: 3 },
}
const UNAUTHENTICATED = {
  error: { code: 401, status: 'UNAUTHENTICATED', message: 'Request had invalid authentication credentials.' },
}

export async function google(): Promise<Google> {
  const claims: Record<string, unknown>[] = []
  const asked: { path: string; shown: string | undefined; body: string }[] = []
  let good = new Set<string>()
  let refusing: { readonly status: number; readonly body: object } | undefined
  let trusting = true
  let given = 0

  const server = createServer(async (request, response) => {
    const body = await textOf(request)
    if (request.url === '/token') {
      claims.push(claimOf(body))
      if (refusing !== undefined) return answer(response, refusing.status, refusing.body)
      const token = `ya29.token-${++given}`
      good.add(token)
      return answer(response, 200, { access_token: token, expires_in: fake.lifeS, token_type: 'Bearer' })
    }
    const shown = request.headers.authorization
    asked.push({ path: request.url ?? '', shown, body })
    if (trusting && good.has(shown?.replace('Bearer ', '') ?? '')) return answer(response, 200, ANSWER)
    answer(response, 401, UNAUTHENTICATED)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const fake = {
    url,
    account: JSON.stringify({
      type: 'service_account',
      project_id: 'lighthouse-1',
      private_key_id: 'k1',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      client_email: 'keeper@lighthouse-1.iam.gserviceaccount.com',
      token_uri: `${url}/token`,
    }),
    claims,
    asked,
    withdraw() {
      good = new Set()
    },
    refuse(answer: { readonly status: number; readonly body: object } | undefined) {
      refusing = answer
    },
    distrust() {
      trusting = false
    },
    lifeS: 3_599,
    close() {
      server.closeAllConnections()
      return new Promise<void>(resolve => server.close(() => resolve()))
    },
  }
  return fake
}

/** What a request for a token claims; its signature is checked. */
function claimOf(body: string): Record<string, unknown> {
  const form = new URLSearchParams(body)
  assert.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer')
  const [header, claim, signature] = (form.get('assertion') ?? '').split('.') as [string, string, string]
  assert.ok(createVerify('RSA-SHA256').update(`${header}.${claim}`).verify(publicKey, signature, 'base64url'), 'a good signature')
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString())
  assert.deepEqual(read(header), { alg: 'RS256', typ: 'JWT', kid: 'k1' })
  return read(claim)
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += chunk
  return text
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
