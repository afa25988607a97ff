/*
 * The admin listener of several workers. It knows nothing itself but whether they are there and what they counted: what operators ask is
 * passed on to the workers, and where each of them has a part of the answer, the parts are brought together. What operators order is
 * ordered of all of them.
 */
import { randomUUID } from 'node:crypto'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { asObject } from '../../core/json.ts'
import { LISTENER, MAX_BODY_BYTES } from '../admin.ts'
import { addHealth, type Readiness } from '../health.ts'
import { httpFault, refuseAdmin } from '../refusals.ts'
import { checkToken } from '../token.ts'

/** A request to the admin API, as it is passed on. */
export interface AdminQuestion {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

export interface AdminAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface FrontOptions {
  readonly token: () => string | undefined
  /** Of a question: a call may be part of it. */
  readonly maxBodyBytes: number
  readonly readiness: Pick<Readiness, 'ready'>
  readonly scrape: (accept: string | undefined) => Promise<{ readonly text: string; readonly contentType: string }>
  /** Asks one worker; undefined: there is none. */
  readonly askOne: (question: AdminQuestion) => Promise<AdminAnswer | undefined>
  /** Asks all of them. */
  readonly askAll: (question: AdminQuestion) => Promise<readonly AdminAnswer[]>
}

// biome-ignore lint/suspicious/noExplicitAny: a worker's answer is our own, and is looked at field by field
type Json = Readonly<Record<string, any>>

/** Of pages of which every worker has a part: how the parts become one, the first of them being the one to begin with. */
const PARTS: ReadonlyMap<string, (parts: readonly Json[]) => Json> = new Map([
  [
    '/admin/requests',
    parts => ({
      requests: parts
        .flatMap(part => part.requests)
        .sort(byTime)
        .slice(0, MOST_REQUESTS),
    }),
  ],
  ['/admin/targets', parts => withSums(parts, 'targets', one => one.target)],
  ['/admin/keys', parts => withSums(parts, 'keys', one => `${one.provider} ${one.name}`)],
  ['/admin/spend', spendOfAll],
])

const MOST_REQUESTS = 1_000
const byTime = (one: Json, another: Json) => String(another.at).localeCompare(String(one.at))

/** What is in flight at each is in flight here. */
function withSums([first, ...others]: readonly Json[], list: string, nameOf: (one: Json) => string): Json {
  const more = new Map<string, number>()
  for (const one of others.flatMap(part => part[list] as readonly Json[]))
    more.set(nameOf(one), (more.get(nameOf(one)) ?? 0) + one.in_flight)
  return {
    ...first,
    [list]: first![list].map((one: Json) => ({ ...one, in_flight: one.in_flight + (more.get(nameOf(one)) ?? 0) })),
  }
}

/** What has a cap or a budget is counted together; the rest is counted by each for itself. */
function spendOfAll([first, ...others]: readonly Json[]): Json {
  const summed = (list: string, name: string) =>
    first![list].map((one: Json) => {
      if (one.cap_usd !== undefined || one.budget_usd !== undefined) return one
      const same = others.flatMap(part => part[list] as readonly Json[]).filter(other => other[name] === one[name])
      return { ...one, usd: same.reduce((sum, other) => sum + other.usd, one.usd) }
    })
  return { providers: summed('providers', 'provider'), clients: summed('clients', 'client') }
}

/** The only orders that ask and change nothing. */
const READS_ONLY = new Set(['/admin/explain'])
const PASSED_ON = ['authorization', 'content-type', 'accept']
const RETURNED = [
  'content-type',
  'x-should-retry',
  'content-security-policy',
  'cache-control',
  'referrer-policy',
  'x-content-type-options',
]

export function adminFront(options: FrontOptions): FastifyInstance {
  const { token, maxBodyBytes, readiness, scrape, askOne, askAll } = options
  const app = Fastify({ bodyLimit: MAX_BODY_BYTES, ...LISTENER })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_, body, done) => done(null, body))
  app.setErrorHandler((error, _, reply) => refuseAdmin(reply, httpFault(error, maxBodyBytes)))

  addHealth(app, readiness)
  app.get('/metrics', async (request, reply) => {
    const { text, contentType } = await scrape(request.headers.accept)
    return reply.header('content-type', contentType).send(text)
  })

  async function pass(request: FastifyRequest, reply: FastifyReply) {
    const asked = questionOf(request)
    const path = asked.url.split('?', 1)[0]!
    const together = asked.method === 'GET' ? PARTS.get(path) : undefined
    const isForAll = together !== undefined || path.startsWith('/admin/requests/') || isOrder(asked.method, path)
    const answers = isForAll ? await askAll(asked) : [await askOne(asked)].filter(one => one !== undefined)
    return give(reply, chosen(answers, together, isOrder(asked.method, path)))
  }

  app.setNotFoundHandler(pass)
  app.register(async guarded => {
    // Workers ask for it again. Here it keeps a body out that is nobody's business.
    guarded.addHook('onRequest', async request => checkToken(request.headers.authorization, token()))
    guarded.route({ method: ['GET', 'POST', 'PUT'], url: '/admin/*', bodyLimit: maxBodyBytes, handler: pass })
  })
  return app
}

const isOrder = (method: string, path: string) => method !== 'GET' && !READS_ONLY.has(path)

function questionOf({ method, url, headers, body }: FastifyRequest): AdminQuestion {
  return {
    method: method as AdminQuestion['method'],
    url,
    headers: Object.fromEntries(PASSED_ON.flatMap(name => (headers[name] === undefined ? [] : [[name, String(headers[name])]]))),
    body: typeof body === 'string' && body !== '' ? body : undefined,
  }
}

/** Of an order the worst that came of it, of a question the first that knows. */
function chosen(
  answers: readonly AdminAnswer[],
  together: ((parts: readonly Json[]) => Json) | undefined,
  isOrder: boolean,
): AdminAnswer | undefined {
  const good = answers.filter(({ status }) => status < 400)
  if (isOrder && good.length < answers.length) return answers.find(({ status }) => status >= 400)
  if (good.length === 0 || together === undefined) return good[0] ?? answers[0]
  return { ...good[0]!, body: JSON.stringify(together(good.map(({ body }) => asObject(JSON.parse(body)) as Json))) }
}

function give(reply: FastifyReply, answer: AdminAnswer | undefined) {
  if (answer === undefined) return reply.code(503).header('x-request-id', randomUUID()).send({ status: 'no worker is ready' })
  for (const name of RETURNED) if (answer.headers[name] !== undefined) reply.header(name, answer.headers[name])
  return reply
    .code(answer.status)
    .header('x-request-id', answer.headers['x-request-id'] ?? randomUUID())
    .send(Buffer.from(answer.body))
}
