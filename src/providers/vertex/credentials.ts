/*
 * Who asks, by what stands in the place of a provider key: an API key (express mode), the JSON of a service account or of another kind of
 * Google credentials, or the word `adc` for whatever identity the machine has (workload identity, gcloud).
 *
 * All but API keys are exchanged for tokens that live about an hour. A service account signs its own request for one, at the address
 * that its JSON names; every other kind is left to Google's library, which is loaded only then.
 */
import { createSign } from 'node:crypto'
import type { AuthClient, ExternalAccountClientOptions, JWTInput } from 'google-auth-library'
import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import { asObject, tryParse } from '../../core/json.ts'

type Fields = Readonly<Record<string, unknown>>

export type Credentials =
  | { readonly kind: 'api-key'; readonly key: string }
  | { readonly kind: 'service-account'; readonly json: Fields; readonly project: string | undefined }
  /** Of Google's other kinds; `json` undefined: what the machine itself has. */
  | { readonly kind: 'library'; readonly json: Fields | undefined; readonly project: string | undefined }

/** Headers that show a token, and when it ends. */
export interface Grant {
  readonly headers: Readonly<Record<string, string>>
  /** In milliseconds since 1970. */
  readonly expiresMs: number
}

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'
const TOKEN_ADDRESS = 'https://oauth2.googleapis.com/token'
const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** What Google gives, and the longest that may be asked for. */
const USUAL_LIFE_S = 3_600
const LONGEST_WAIT_MS = 10_000

export function credentialsOf(key: string): Credentials {
  if (key === 'adc') return { kind: 'library', json: undefined, project: undefined }
  const json = key.startsWith('{') ? asObject(tryParse(key)) : undefined
  if (json === undefined) return { kind: 'api-key', key }
  const project = typeof json.project_id === 'string' ? json.project_id : undefined
  return { kind: json.type === 'service_account' ? 'service-account' : 'library', json, project }
}

/** A fresh token. Rejects with a Fault: upstream-refused-key when Google refuses these credentials, else upstream-unreachable. */
export function grantOf(credentials: Exclude<Credentials, { kind: 'api-key' }>, clock: Clock): Promise<Grant> {
  const asking =
    credentials.kind === 'service-account' ? ofServiceAccount(credentials.json, clock) : ofLibrary(credentials.json, clock)
  return inTime(asking, clock)
}

async function ofServiceAccount(account: Fields, clock: Clock): Promise<Grant> {
  const address = typeof account.token_uri === 'string' ? account.token_uri : TOKEN_ADDRESS
  const assertion = signedClaim(account, address, Math.floor(clock.now() / 1000))
  let status: number
  let text: string
  try {
    const answer = await fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ grant_type: GRANT_TYPE, assertion }).toString(),
      redirect: 'error',
      signal: AbortSignal.timeout(LONGEST_WAIT_MS),
    })
    status = answer.status
    text = await answer.text()
  } catch (error) {
    throw unreachable(error)
  }
  const body = asObject(tryParse(text))
  if (status !== 200) {
    const said = [status, body?.error, body?.error_description].filter(part => part !== undefined).join(' ')
    const refused = status >= 400 && status < 500 && status !== 408 && status !== 429
    throw new Fault(refused ? 'upstream-refused-key' : 'upstream-unreachable', {
      detail: `no token: ${said}`,
      upstreamStatus: status,
    })
  }
  if (typeof body?.access_token !== 'string')
    throw new Fault('upstream-unreachable', { detail: 'no token in the answer to the request for one' })
  const lifeS = typeof body.expires_in === 'number' ? body.expires_in : USUAL_LIFE_S
  return { headers: { authorization: `Bearer ${body.access_token}` }, expiresMs: clock.now() + lifeS * 1000 }
}

/** A JWT by which the account asks for a token in its own name (RFC 7523). */
function signedClaim(account: Fields, audience: string, nowS: number): string {
  const { client_email: email, private_key: privateKey, private_key_id: keyId } = account
  if (typeof email !== 'string' || typeof privateKey !== 'string') {
    throw new Fault('upstream-refused-key', { detail: 'the JSON of the service account has no client_email or no private_key' })
  }
  const header = { alg: 'RS256', typ: 'JWT', ...(typeof keyId === 'string' ? { kid: keyId } : {}) }
  const claim = { iss: email, scope: SCOPE, aud: audience, iat: nowS, exp: nowS + USUAL_LIFE_S }
  const unsigned = [header, claim].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  try {
    return `${unsigned}.${createSign('RSA-SHA256').update(unsigned).sign(privateKey, 'base64url')}`
  } catch {
    throw new Fault('upstream-refused-key', { detail: 'the private_key of the service account cannot be read' })
  }
}

async function ofLibrary(json: Fields | undefined, clock: Clock): Promise<Grant> {
  // A new one each time: what it remembers would outlive a token that Google has refused.
  const client = await clientOf(json)
  try {
    const headers = Object.fromEntries(await client.getRequestHeaders())
    return { headers, expiresMs: client.credentials.expiry_date ?? clock.now() + USUAL_LIFE_S * 1000 }
  } catch (error) {
    const status = (error as { status?: unknown } | undefined)?.status
    if (typeof status === 'number' && status >= 400 && status < 500 && status !== 429) {
      throw new Fault('upstream-refused-key', { detail: `no token: ${String(error)}`.slice(0, 300), upstreamStatus: status })
    }
    throw unreachable(error)
  }
}

async function clientOf(json: Fields | undefined): Promise<AuthClient> {
  const { ExternalAccountClient, GoogleAuth, UserRefreshClient } = await import('google-auth-library')
  try {
    if (json === undefined) return await new GoogleAuth({ scopes: SCOPE }).getClient()
    switch (json.type) {
      case 'external_account': {
        const client = ExternalAccountClient.fromJSON(json as unknown as ExternalAccountClientOptions)
        if (client === null) break
        client.scopes = SCOPE
        return client
      }
      case 'authorized_user': {
        const client = new UserRefreshClient()
        client.fromJSON(json as JWTInput)
        return client
      }
    }
  } catch (error) {
    throw new Fault('upstream-refused-key', { detail: `no token: ${String(error)}`.slice(0, 300) })
  }
  throw new Fault('upstream-refused-key', { detail: 'credentials of a type that is not known here; see `adc`' })
}

function unreachable(error: unknown): Fault {
  const cause = (error as { cause?: { code?: unknown } } | undefined)?.cause?.code
  return new Fault('upstream-unreachable', { detail: `no token: ${String(error)} ${String(cause ?? '')}`.trim().slice(0, 300) })
}

function inTime<Value>(promise: Promise<Value>, clock: Clock): Promise<Value> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(LONGEST_WAIT_MS, () =>
      reject(new Fault('upstream-unreachable', { detail: `no token within ${LONGEST_WAIT_MS} ms` })),
    )
    promise.then(resolve, reject).finally(cancel)
  })
}
