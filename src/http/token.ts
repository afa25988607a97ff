/** Who may see what is for operators. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { Fault } from '../core/fault.ts'

/** Throws a Fault unless the header shows the token; digests are compared, so that its length does not show either. */
export function checkToken(authorization: string | undefined, token: string | undefined): void {
  if (token === undefined) {
    const message = 'The admin API is off. Set admin.token to switch it on.'
    throw new Fault('unauthorized', { status: 403, type: 'permission_error', code: 'admin_token_not_set', message })
  }
  const shown = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? ''
  const digest = (text: string) => createHash('sha256').update(text).digest()
  if (!timingSafeEqual(digest(shown), digest(token))) {
    throw new Fault('unauthorized', { message: 'The admin API asks for its token: "Authorization: Bearer <admin.token>".' })
  }
}
