/*
 * The promise to clients, held against chance: an answer of any provider, made or recorded, cut, stalled, garbled or reset at any byte, gone
 * on with by any other. The client gets all of the text, once, or a beginning of it and one error event without [DONE]. An event that is no longer JSON is
 * left out, as it says nothing: of those cases, and of no others, one stretch of the text may be missing.
 */
import assert from 'node:assert/strict'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, it } from 'node:test'
import { type Chance, chance } from '../core/random.ts'
import { type Recorded, recordedStreams } from '../support/recorded-streams.ts'
import { type Running, running } from '../support/running.ts'
import { ANSWER, type Received, type Written } from '../support/wires/scene.ts'
import { SAYING } from '../support/wires/simulated.ts'
import { STAND_INS } from '../support/wires/wires.ts'

const CASES = Number(process.env.CASES ?? 10_000)
/** Of the recorded answers. */
const RECORDED_CASES = Math.ceil(CASES / 4)
const AT_ONCE = 250
/** Long enough for what is well on a busy machine, short enough for thousands of silences. */
const IDLE_MS = 800

type Harm = 'cut' | 'reset' | 'stall' | 'garble'
const HARMS: readonly Harm[] = ['cut', 'reset', 'stall', 'garble']

/** What goes wrong with one answer: where, as a share of its bytes. */
interface Damage {
  readonly harm: Harm
  readonly at: number
}

interface Case {
  readonly route: string
  readonly recover: string
  /** The route has one target, which is not asked again before its first content. */
  readonly alone: boolean
  readonly usage: boolean
  /** Of the first answer, the second one … */
  readonly damages: readonly (Damage | undefined)[]
  /** From the second answer on, another word is said. */
  readonly differs: boolean
  /** What the first answer is, where it was recorded; the others say its text. */
  readonly recorded?: Recorded
  /** How large the pieces are that the answers leave in. */
  readonly piece: number
  answers: number
}

const TYPES = Object.keys(STAND_INS)
/** Frames with checksums cannot be made to say another word. */
const CHECKED = new Set(['bedrock'])
const RECOVERIES = ['splice', 'splice', 'splice', 'prefill', 'hold', 'off'] as const

/** The case that a call belongs to stands in its prompt, whatever shape that has. */
const MARK = /case-(\d+)\./

/** What a stand-in says to a call of this case. */
type Speaker = (each: Case, received: Received) => Written | { readonly problem: string }

function upstream(speaker: Speaker, cases: ReadonlyMap<number, Case>): Promise<Server> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const each = cases.get(Number(MARK.exec(text)![1]))!
    const answer = speaker(each, { path: request.url!, headers: request.headers, body: JSON.parse(text) })
    if ('problem' in answer) {
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error: { message: answer.problem } }))
      return
    }
    const place = each.answers++
    response.writeHead(200, { 'content-type': answer.contentType })
    deliver(response, Buffer.from(answer.bytes as string), each.damages[place], each.piece)
  })
  return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(server)))
}

const standIn =
  (type: string): Speaker =>
  (each, received) => {
    const answer = STAND_INS[type]!.wire(received)
    if ('problem' in answer || !each.differs || each.answers === 0 || CHECKED.has(type)) return answer
    return { ...answer, bytes: answer.bytes.toString().replaceAll('twelve', 'eleven') }
  }

function deliver(response: ServerResponse, whole: Buffer, damage: Damage | undefined, piece: number): void {
  const at = damage === undefined ? whole.length : Math.floor(damage.at * whole.length)
  let bytes = whole
  if (damage?.harm === 'garble') {
    bytes = Buffer.from(whole)
    bytes[Math.min(at, whole.length - 1)] = 0
  } else bytes = whole.subarray(0, at)
  for (let from = 0; from < bytes.length; from += piece) response.write(bytes.subarray(from, from + piece))
  if (bytes.length === 0) response.flushHeaders()
  if (damage?.harm === 'stall') return
  if (damage?.harm === 'reset') response.write('', () => response.socket?.resetAndDestroy())
  else response.end()
}

interface Read {
  readonly text: string
  readonly done: boolean
  readonly failed: boolean
}

/** Reads a stream as strictly as no client does. What was recorded may be as odd as its provider. */
function read(raw: string, { usage, recorded }: Case): Read {
  let text = ''
  let done = false
  let failed = false
  let roles = 0
  let finishes = 0
  let usages = 0
  const ids = new Set<string>()
  const models = new Set<string>()
  assert.ok(raw === '' || raw.endsWith('\n\n'), 'the last event is whole')
  for (const block of raw.split(/\r?\n\r?\n/)) {
    const line = block.split(/\r?\n/).find(each => each.startsWith('data:'))
    if (line === undefined) continue
    assert.ok(!done && !failed, 'nothing comes after the end')
    const data = line.slice(5).trim()
    if (data === '[DONE]') {
      done = true
      continue
    }
    const chunk = JSON.parse(data)
    if (chunk.error !== undefined) {
      failed = true
      continue
    }
    if (chunk.usage) usages++
    if (chunk.id) ids.add(chunk.id)
    if (chunk.model) models.add(chunk.model)
    for (const choice of chunk.choices ?? []) {
      assert.equal(choice.index, 0)
      if (choice.delta?.role) roles++
      if (choice.delta?.content) {
        assert.equal(finishes, 0, 'no text after the finish')
        text += choice.delta.content
      }
      if (choice.finish_reason) finishes++
    }
  }
  assert.ok(done !== failed, 'it is complete, or it says that it is not')
  assert.equal(finishes, done ? 1 : Math.min(finishes, 1))
  assert.ok(usage || usages === 0, `${usages} usages`)
  if (recorded === undefined) {
    assert.ok(roles <= 1, `${roles} roles`)
    assert.ok(ids.size <= 1, `ids ${[...ids]}`)
    assert.ok(models.size <= 1, `models ${[...models]}`)
    assert.ok(usages <= 1, `${usages} usages`)
  }
  return { text, done, failed }
}

/** Whether this is the beginning of `of`, one stretch left out. */
function isWithOneGap(text: string, of: string): boolean {
  let same = 0
  while (same < text.length && text[same] === of[same]) same++
  if (same === text.length) return true
  const rest = text.slice(same)
  // The gap may begin earlier than the first difference where the texts before and after it begin alike.
  for (let from = same; from >= 0; from--) {
    const tail = text.slice(from)
    for (let to = from; to <= of.length - tail.length; to++) if (of.startsWith(tail, to)) return true
    if (same - from > rest.length + of.length) break
  }
  return false
}

const OTHER = ANSWER.replace('twelve', 'eleven')

function textsOf({ recorded, differs }: Case): readonly string[] {
  if (recorded !== undefined) return [recorded.text]
  return differs ? [ANSWER, OTHER] : [ANSWER]
}

/** What this case came to; throws when it is more, less or other than the promise. */
function judged(each: Case, { text, done }: Read): 'whole' | 'broken' | 'gap' {
  const garbled = each.damages.slice(0, each.answers).some(damage => damage?.harm === 'garble')
  const texts = textsOf(each)
  if (done && texts.includes(text)) return 'whole'
  if (!done && texts.some(whole => whole.startsWith(text))) return 'broken'
  assert.ok(garbled && texts.some(whole => isWithOneGap(text, whole)), `the client got ${JSON.stringify(text)}`)
  return 'gap'
}

function drawn(luck: Chance, routes: readonly (readonly [string, string])[]): Case {
  const damage = (): Damage => ({ harm: luck.pick(HARMS), at: luck.next() })
  const [route, recover] = luck.pick(routes)
  const first = luck.next() < 0.95 ? damage() : undefined
  const second = luck.next() < 0.3 ? damage() : undefined
  return {
    route,
    recover,
    alone: new Set(route.split('+')).size === 1,
    usage: luck.next() < 0.3,
    damages: [first, second, luck.next() < 0.3 ? damage() : undefined],
    differs: luck.next() < 0.15,
    piece: luck.pick([1 << 16, 97, 23]),
    answers: 0,
  }
}

const SILENCES: ReadonlySet<unknown> = new Set(['upstream-timeout', 'upstream-stalled'])

/** Whether more attempts were taken for silent than were. */
function tookWellForSilent(each: Case, attempts: readonly any[]): boolean {
  const silent = attempts.filter(({ outcome, broke }) => SILENCES.has(outcome) || SILENCES.has(broke)).length
  return silent > (each.damages[0]?.harm === 'stall' ? 1 : 0)
}

const open: { close(): void | Promise<void> }[] = []
after(() => Promise.all(open.map(each => each.close())))

/** A gateway with these providers behind it, each with its speaker, and a route for each pair of names. */
async function start(
  cases: ReadonlyMap<number, Case>,
  speakers: Readonly<Record<string, readonly [type: string, speaker: Speaker]>>,
  pairs: readonly (readonly [first: string, second: string])[],
  luck: Chance,
) {
  const providers: Record<string, object> = {}
  for (const [name, [type, speaker]] of Object.entries(speakers)) {
    const server = await upstream(speaker, cases)
    open.push({
      close() {
        server.closeAllConnections()
        server.close()
      },
    })
    providers[name] = {
      type,
      base_url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${STAND_INS[type]!.base}`,
      keys: ['a-key'],
      retry: { attempts: 0 },
      circuit: { failures: 1_000_000, min_calls: 1_000_000 },
      timeouts: { connect: '5s', first_token: `${IDLE_MS}ms`, idle: `${IDLE_MS}ms`, total: '30s' },
    }
  }
  const target = (name: string) => `${name}/${STAND_INS[speakers[name]![0]]!.model}`
  const routes = new Map<string, string>()
  const settings: Record<string, object> = {}
  for (const [first, second] of pairs) {
    const name = `${first}+${second}`
    const recover = luck.pick(RECOVERIES)
    routes.set(name, recover)
    settings[name] = {
      targets: [target(first)],
      fallbacks: second === first ? [] : [target(second)],
      recover,
      extra_attempts: '100%',
    }
  }
  const gateway = await running(JSON.stringify({ providers, routes: settings }))
  open.push(gateway)
  return { gateway, routes }
}

async function answered(gateway: Running, each: Case, mark: number): Promise<'whole' | 'broken' | 'gap' | 'refused'> {
  const body = {
    model: each.route,
    messages: [{ role: 'user', content: `What does the lamp do? This is case-${mark}.` }],
    stream: true,
    ...(each.usage && { stream_options: { include_usage: true } }),
  }
  const response = await gateway.call(body, { headers: { 'x-request-id': `case-${mark}` } })
  const raw = await response.text()
  if (response.status === 200) return judged(each, read(raw, each))
  assert.ok(JSON.parse(raw).error.message.length > 0)
  return 'refused'
}

/** Runs all the cases, and says how they came out. */
async function outcomes(gateway: Running, cases: ReadonlyMap<number, Case>, told: (text: string) => void) {
  const seen = { whole: 0, broken: 0, gap: 0, refused: 0 }
  const unmended: number[] = []
  let mark = 0
  const lane = async () => {
    while (mark < cases.size) {
      const own = mark++
      const each = cases.get(own)!
      const result = await answered(gateway, each, own).catch(error => {
        const { recorded, ...rest } = each
        throw new Error(`case ${own}: ${JSON.stringify({ ...rest, recorded: recorded?.name })}: ${error.message}`, {
          cause: error,
        })
      })
      seen[result]++
      // One harm that leaves the text as it is, and somebody well and of the same words to go on: then it is whole.
      const [first, ...others] = each.damages
      const mends = others.every(damage => damage === undefined) && !each.differs && first?.harm !== 'garble' && !each.alone
      // Who thinks aloud before it speaks is not gone on with by somebody who does not.
      const isPlain = each.recorded === undefined || each.recorded.isPlain
      if (mends && isPlain && each.recover !== 'off' && result !== 'whole') unmended.push(own)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
  // A busy machine may take what is well for silent; nothing else excuses it.
  const lines = new Map(gateway.logs().map(line => [line.id, line]))
  const attemptsOf = (own: number) => lines.get(`case-${own}`)!.attempts
  const lost = unmended.filter(own => !tookWellForSilent(cases.get(own)!, attemptsOf(own)))
  told(JSON.stringify({ ...seen, unmended: unmended.length, lost: lost.length }))
  assert.deepEqual(
    lost.map(own => JSON.stringify({ ...cases.get(own), recorded: cases.get(own)!.recorded?.name, attempts: attemptsOf(own) })),
    [],
    'answers that could have been mended, and were not',
  )
  assert.equal(await gateway.metric('llm_in_flight'), 0)
  assert.equal(await gateway.metric('llm_requests_total'), cases.size)
  return seen
}

it(`${CASES} answers, damaged at any byte, come whole or end honestly`, async t => {
  const luck = chance()
  t.diagnostic(`SEED=${luck.seed}`)
  const cases = new Map<number, Case>()
  const speakers = Object.fromEntries(TYPES.map(type => [type, [type, standIn(type)] as const]))
  const pairs = TYPES.flatMap(first => TYPES.map(second => [first, second] as const))
  const { gateway, routes } = await start(cases, speakers, pairs, luck)
  for (let mark = 0; mark < CASES; mark++) cases.set(mark, drawn(luck, [...routes]))
  const seen = await outcomes(gateway, cases, text => t.diagnostic(text))
  assert.ok(seen.whole > CASES / 4 && seen.broken > CASES / 50 && seen.gap > 0, 'every way to end has been seen')
})

it(`${RECORDED_CASES} recorded answers, damaged at any byte, come whole or end honestly`, async t => {
  const luck = chance()
  t.diagnostic(`SEED=${luck.seed}`)
  const recordings = recordedStreams()
  const cases = new Map<number, Case>()
  const types = [...new Set(recordings.map(({ type }) => type))]
  const recorded = types.map(type => [`recorded-${type}`, [type, (each: Case) => each.recorded!] as const] as const)
  const sayers = Object.entries(SAYING).map(
    ([type, say]) => [type, [type, (each: Case, received: Received) => say(received, each.recorded!.text)] as const] as const,
  )
  const pairs = types.flatMap(type => Object.keys(SAYING).map(second => [`recorded-${type}`, second] as const))
  const { gateway, routes } = await start(cases, Object.fromEntries([...recorded, ...sayers]), pairs, luck)
  for (let mark = 0; mark < RECORDED_CASES; mark++) {
    const one = luck.pick(recordings)
    const its = [...routes].filter(([name]) => name.startsWith(`recorded-${one.type}+`))
    cases.set(mark, { ...drawn(luck, its), differs: false, recorded: one })
  }
  const seen = await outcomes(gateway, cases, text => t.diagnostic(text))
  assert.ok(seen.whole > RECORDED_CASES / 4, 'most can be mended')
})
