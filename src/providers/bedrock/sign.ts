/*
 * Whose call it is. A key of a provider is one of three things: an API key of Bedrock's, shown as it is; an access key of AWS with its
 * secret (and its session token, where it is temporary), joined by colons, which signs each request; or the word `default`, for the
 * credentials that AWS's own tools would find on this machine: environment, shared files, SSO, web identity, container, instance.
 */
import { createHash } from 'node:crypto'
import type { Target } from '../../core/attempt.ts'
import { Fault } from '../../core/fault.ts'
import type { UpstreamRequest } from '../../core/provider.ts'

export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/** `forceRefresh` looks for new ones even though the old ones have not expired. */
export type Chain = (options?: { readonly forceRefresh?: boolean }) => Promise<Credentials>

const CHAIN_KEY = 'default'
const HOST = /(?:^|\.)bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\./
/** Where the host name tells no region: a proxy that is to be signed for as if it were the default address. */
const SOME_REGION = 'us-east-1'

/** The headers that show an API key; none for keys that sign. */
export function authorize(key: string): Readonly<Record<string, string>> {
  return key === '' || signs(key) ? {} : { authorization: `Bearer ${key}` }
}

function signs(key: string): boolean {
  return key === CHAIN_KEY || key.includes(':')
}

/** The region that stands in the name of an address of Bedrock's. */
export function regionOf(hostname: string): string {
  return HOST.exec(hostname)?.[1] ?? SOME_REGION
}

export interface Signing {
  /** The headers to add: a signature of this request, or none. Rejects with a Fault where there are no credentials. */
  sign(request: UpstreamRequest, target: Target, key: string): Promise<Readonly<Record<string, string>>>
  /** Whether credentials that were found on this machine should be looked for anew, since they were refused for their age. */
  renews(key: string, signed: Readonly<Record<string, string>>, refused: Fault): boolean
}

/** @param chainOf makes the chain of credentials; it caches them until they expire, and never looks twice at a time */
export function signing(chainOf: () => Promise<Chain> = standardChain): Signing {
  let chain: Promise<Chain> | undefined
  let stale = false

  async function found(): Promise<Credentials> {
    chain ??= chainOf()
    try {
      const forceRefresh = stale
      stale = false
      return await (await chain)(forceRefresh ? { forceRefresh } : undefined)
    } catch (thrown) {
      const detail = `no AWS credentials on this machine: ${thrown instanceof Error ? thrown.message : thrown}`
      throw new Fault('upstream-refused-key', { detail })
    }
  }

  return {
    async sign(request, target, key) {
      if (!signs(key)) return {}
      return signed(request, target, key === CHAIN_KEY ? found : async () => ofKey(key))
    },
    renews(key, _, refused) {
      if (key !== CHAIN_KEY || !/\bExpiredToken/.test(refused.details.detail ?? '')) return false
      stale = true
      return true
    },
  }
}

async function standardChain(): Promise<Chain> {
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node')
  return defaultProvider()
}

function ofKey(key: string): Credentials {
  const [accessKeyId = '', secretAccessKey = '', ...rest] = key.split(':')
  const sessionToken = rest.join(':')
  return { accessKeyId, secretAccessKey, ...(sessionToken === '' ? {} : { sessionToken }) }
}

/** Signature Version 4 over the host, the date, the type and hash of the body, and the token of temporary credentials. */
async function signed(
  request: UpstreamRequest,
  target: Target,
  credentials: () => Promise<Credentials>,
): Promise<Readonly<Record<string, string>>> {
  const [{ SignatureV4 }, { Sha256 }] = await Promise.all([import('@smithy/signature-v4'), import('@aws-crypto/sha256-js')])
  const { host, hostname } = new URL(target.origin)
  const signer = new SignatureV4({ service: 'bedrock', region: regionOf(hostname), credentials, sha256: Sha256 })
  const { headers } = await signer.sign({
    method: 'POST',
    protocol: 'https:',
    hostname,
    path: request.path,
    headers: {
      host,
      'content-type': request.headers?.['content-type'] ?? 'application/json',
      // Given, it is not reckoned again by the library, in JavaScript: calls may hold megabytes of images.
      'x-amz-content-sha256': createHash('sha256').update(request.body).digest('hex'),
    },
    body: request.body,
  })
  const { host: _, ...added } = headers
  return added
}
