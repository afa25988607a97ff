/** Tokens by Azure's own library, which is large and loaded only when the first one is needed. */
import { Fault } from '../../core/fault.ts'
import { asObject } from '../../core/json.ts'
import { applicationOf, type Credential } from './entra.ts'

const SCOPE = 'https://cognitiveservices.azure.com/.default'

/** OAuth's words for an identity that will not be let in however often it asks. */
const REFUSED = /^(?:invalid_client|unauthorized_client|invalid_grant|access_denied)$/

/** How the tokens for this provider key are fetched. */
export function credentialOf(key: string): Credential {
  let made: Promise<{ getToken(scope: string): Promise<{ token: string; expiresOnTimestamp: number } | null> }> | undefined

  return async () => {
    made ??= credential(key)
    let token: { token: string; expiresOnTimestamp: number } | null
    try {
      token = await (await made).getToken(SCOPE)
    } catch (thrown) {
      throw refusalOf(thrown) ?? thrown
    }
    if (token === null) throw new Fault('upstream-refused-key', { detail: 'this identity has no token' })
    return { text: token.token, expiresMs: token.expiresOnTimestamp }
  }
}

async function credential(key: string) {
  const { ClientSecretCredential, DefaultAzureCredential } = await import('@azure/identity')
  const application = applicationOf(key)
  if (application === undefined) return new DefaultAzureCredential()
  return new ClientSecretCredential(application.tenant, application.clientId, application.secret)
}

/** Its messages may repeat who asked; its words and numbers tell enough. */
export function refusalOf(thrown: unknown): Fault | undefined {
  const said = asObject(asObject(thrown)?.errorResponse)
  const word = said?.error
  if (typeof word !== 'string' || !REFUSED.test(word)) return undefined
  const codes = Array.isArray(said?.errorCodes) ? said.errorCodes.filter(code => typeof code === 'number') : []
  return new Fault('upstream-refused-key', { detail: ['the identity was refused:', word, ...codes].join(' ') })
}
