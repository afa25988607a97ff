/* Signature Version 4 from AWS's published description, written without the library that signs. */
import { createHash, createHmac } from 'node:crypto'

export interface Signable {
  readonly method: string
  /** As it goes over the wire. */
  readonly path: string
  readonly query: string
  /** Names in lower case; all of them are signed. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Scope {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly region: string
  readonly service: string
}

const hash = (text: string) => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()

/** The value of the `authorization` header. */
export function authorizationOf(request: Signable, scope: Scope): string {
  const moment = request.headers['x-amz-date']!
  const day = moment.slice(0, 8)
  const names = Object.keys(request.headers).sort()
  const canonical = [
    request.method,
    // Each segment once more than on the wire, which is the rule for every service but S3.
    request.path.split('/').map(encodeURIComponent).join('/'),
    request.query,
    ...names.map(name => `${name}:${request.headers[name]!.trim()}`),
    '',
    names.join(';'),
    hash(request.body),
  ].join('\n')
  const place = `${day}/${scope.region}/${scope.service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', moment, place, hash(canonical)].join('\n')
  const key = [day, scope.region, scope.service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${scope.secretAccessKey}`)
  const signature = hmac(key, toSign).toString('hex')
  return `AWS4-HMAC-SHA256 Credential=${scope.accessKeyId}/${place}, SignedHeaders=${names.join(';')}, Signature=${signature}`
}
