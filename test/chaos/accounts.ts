/*
 * The books of a run, laid side by side: what clients saw, what the ledger closed, what the simulators were asked. They have to agree
 * call by call, and not only in sum.
 *
 * An attempt that the ledger settled was sent to its provider once; its log line says so where it was not: `sends` is 0 when there was no
 * connection (or the client left before there was), and 2 when a kept connection died before the first byte and the same attempt was sent
 * again. What was sent is read by the simulator, unless the connection ended first: refused as it opened, reset because the port went
 * down, or closed by us because the client had left. So, for every call and provider:
 *
 *     requests read = requests sent − requests lost on a connection that ended
 *
 * and only an attempt whose outcome says that its connection ended can have lost one.
 */
import type { Running } from '../support/running.ts'
import { type Heard, idIn } from './call.ts'
import type { Row } from './rows.ts'

/** How the upstream calls add up. */
export interface Accounts {
  /** Attempts that the ledger settled, passed-over ones not counted. */
  readonly attempts: number
  /** Of these, never sent. */
  readonly unsent: number
  /** Sent a second time. */
  readonly resent: number
  /** Sent, and never read by a simulator. */
  readonly lost: number
  /** Requests that the simulators read. */
  readonly read: number
  /** Connections that simulators refused as they opened. */
  readonly refusedConnections: number
}

export interface Books extends Accounts {
  /** What does not agree. */
  readonly problems: readonly string[]
  /** The log line of each call. */
  readonly lines: ReadonlyMap<string, LogLine>
}

export interface LogLine {
  readonly id: string
  readonly ending: string
  readonly malformed?: number
  readonly attempts: readonly { readonly target: string; readonly outcome: string; readonly sends?: number }[]
}

/** Outcomes after which a request may have been lost on its way: its connection ended, from one side or the other. */
const MAY_LOSE: ReadonlySet<string> = new Set(['upstream-unreachable', 'client-gone', 'cancelled'])
/** … also where connections end from the other side, and this process is too busy to hear of it in time. */
const MAY_LOSE_TOO = 'upstream-timeout'

const PASSED_OVER = 'passed-over:'

/** @param arrived requests that reached the gateway */
export async function books(gateway: Running, row: Row, heard: readonly Heard[], arrived: number): Promise<Books> {
  const problems: string[] = []
  const lines = new Map<string, LogLine>()
  for (const line of gateway.logs()) {
    if (line.msg !== 'call') continue
    if (lines.has(line.id)) problems.push(`${line.id} was closed twice`)
    lines.set(line.id, line as unknown as LogLine)
  }
  const closed = await gateway.metric('llm_requests_total')
  if (closed !== arrived) problems.push(`${arrived} calls arrived, and llm_requests_total is ${closed}`)
  if (lines.size !== closed) problems.push(`${closed} calls were closed with ${lines.size} log lines`)
  for (const { id, seen } of heard) {
    const ending = lines.get(id)?.ending
    if (!agrees(seen, ending)) problems.push(`${id}: the client saw "${seen}", and the ledger "${ending}"`)
  }

  const settled = [...lines.values()].flatMap(({ id, attempts }) =>
    attempts.filter(({ outcome }) => !outcome.startsWith(PASSED_OVER)).map(attempt => ({ id, ...attempt })),
  )
  const counted = await attemptsCounted(gateway)
  if (counted !== settled.length) problems.push(`llm_attempts_total is ${counted}, and the log lines tell of ${settled.length}`)

  const { read, unknown, refused } = readBySimulators(gateway)
  const accounts = Map.groupBy(settled, ({ id, target }) => accountOf(id, target.split('/', 1)[0]!))
  const mayLoseAll = (outcome: string) => MAY_LOSE.has(outcome) || (row.endsConnections === true && outcome === MAY_LOSE_TOO)
  let lost = 0
  for (const [account, attempts] of accounts) {
    const sent = attempts.reduce((sum, { sends = 1 }) => sum + sends, 0)
    const lostHere = sent - (read.get(account) ?? 0)
    const mayLose = attempts.reduce(
      (sum, { outcome, sends = 1 }) => sum + (mayLoseAll(outcome) ? sends : Math.max(0, sends - 1)),
      0,
    )
    if (lostHere < 0 || lostHere > mayLose) problems.push(`${account}: read ${sent - lostHere} of ${JSON.stringify(attempts)}`)
    lost += lostHere
  }
  for (const account of read.keys())
    if (!accounts.has(account)) problems.push(`${account}: a simulator was asked, and nobody settled it`)
  if (unknown > lost)
    problems.push(`${unknown} requests were cut before anybody could tell whose they were, and ${lost} are missing`)
  return {
    attempts: settled.length,
    unsent: settled.filter(({ sends }) => sends === 0).length,
    resent: settled.reduce((sum, { sends = 1 }) => sum + Math.max(0, sends - 1), 0),
    lost: lost - unknown,
    read: [...read.values()].reduce((sum, count) => sum + count, unknown),
    refusedConnections: refused,
    problems,
    lines,
  }
}

/** A client that left may have left at any moment, even before its call arrived. */
function agrees(seen: Heard['seen'], ending: string | undefined): boolean {
  switch (seen) {
    case 'left':
      return true
    case 'complete':
      return ending === 'complete' || ending === 'recovered'
    case 'error event':
      return ending === 'broken'
    case 'error status':
      return ending === 'refused'
    default:
      return ending !== undefined
  }
}

async function attemptsCounted({ adminUrl }: Running): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text()
  return text
    .split('\n')
    .filter(line => line.startsWith('llm_attempts_total{') && !line.includes(`outcome="${PASSED_OVER}`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

const accountOf = (id: string, provider: string) => `${id} at ${provider}`

function readBySimulators({ simulators }: Running) {
  const read = new Map<string, number>()
  let unknown = 0
  let refused = 0
  for (const [provider, { calls, counts }] of simulators) {
    if (calls.length < counts.total) throw new Error('a simulator has forgotten its first calls: make the run shorter')
    for (const { method, body } of calls) {
      const id = method === '' ? undefined : idIn(JSON.stringify(body) ?? '')
      if (method === '') refused++
      else if (id === undefined) unknown++
      else read.set(accountOf(id, provider), (read.get(accountOf(id, provider)) ?? 0) + 1)
    }
  }
  return { read, unknown, refused }
}
