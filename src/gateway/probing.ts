/*
 * Whether providers are well, asked now and then of themselves and of their status pages. It is a preference and never a ban: the targets
 * of a provider that is not well go behind the others in the plan, and are tried when those fail. It opens no circuit and blames no key;
 * a probe says little, and calls say more. Two probes in a row must fail, and one that succeeds is enough to make it well again.
 */
import type { Config } from '../config/schema.ts'
import type { Target } from '../core/attempt.ts'
import type { Clock } from '../core/clock.ts'
import { asObject, tryParse } from '../core/json.ts'
import type { Keys } from '../resilience/keys.ts'
import type { Log } from '../telemetry/log.ts'
import { inquire } from '../upstream/inquiry.ts'
import type { Pools } from '../upstream/pools.ts'
import type { Targets } from './targets.ts'

export interface Probing {
  /** Whose targets go behind those of others; undefined: nobody's, all are well. */
  behind(): ((target: Target) => boolean) | undefined
  /** Why the provider is not well; undefined: it is, or nobody asks. */
  whyUnwell(provider: string): string | undefined
  /** From now on these are asked. What is known of those that were asked before lives on. */
  replace(config: Config, known: Targets, keys: Keys): void
  close(): void
}

interface Known {
  /** Probes in a row that failed. */
  failed: number
  detail: string
  /** What its status page says, when that is an outage. */
  outage: string | undefined
}

const ENOUGH_FAILED = 2
const LONGEST_PROBE_MS = 10_000
const OUTAGES: ReadonlySet<unknown> = new Set(['major', 'critical'])

export function probing(pools: Pools, clock: Clock, log: Log): Probing {
  let known = new Map<string, Known>()
  let unwell: ReadonlyMap<string, string> = new Map()
  let stop = () => {}
  const behind = ({ providerName }: Target) => unwell.has(providerName)

  function whyOf({ failed, detail, outage }: Known): string | undefined {
    return failed >= ENOUGH_FAILED ? detail : outage
  }

  /** Takes note of a change, and says it. */
  function judge(provider: string, its: Known): void {
    const why = whyOf(its)
    if ((why === undefined) === !unwell.has(provider)) return
    const next = new Map(unwell)
    if (why === undefined) next.delete(provider)
    else next.set(provider, why)
    unwell = next
    log.warn('health', { provider, to: why === undefined ? 'well' : 'unwell', ...(why !== undefined && { detail: why }) })
  }

  function replace(config: Config, targets: Targets, keys: Keys): void {
    stop()
    const before = known
    known = new Map()
    const stops: (() => void)[] = []
    for (const [name, { health }] of Object.entries(config.providers)) {
      if (health === undefined) continue
      const its = before.get(name) ?? { failed: 0, detail: '', outage: undefined }
      known.set(name, its)
      const rounds = every(health.every, async isOver => {
        const [why, outage] = await Promise.all([failureOf(config, name, targets, keys), outageOf(config, name)])
        if (isOver()) return
        its.failed = why === undefined ? 0 : its.failed + 1
        its.detail = why ?? ''
        its.outage = outage
        judge(name, its)
      })
      stops.push(rounds)
    }
    unwell = new Map([...unwell].filter(([name]) => known.has(name)))
    stop = () => {
      for (const each of stops) each()
    }
  }

  /** @returns what ends it */
  function every(ms: number, run: (isOver: () => boolean) => Promise<void>): () => void {
    let isOver = false
    let cancel = () => {}
    const round = () =>
      void run(() => isOver).then(() => {
        if (!isOver) cancel = clock.after(ms, round)
      })
    round()
    return () => {
      isOver = true
      cancel()
    }
  }

  /** Why a probe failed. Whoever refuses it in good order is there all the same: only 5xx and silence are failures. */
  async function failureOf(config: Config, name: string, targets: Targets, keys: Keys): Promise<string | undefined> {
    const { health, keys: configured } = config.providers[name]!
    const target = targets.ofProvider(name)
    const ready = new Set(keys.status(name).flatMap(({ name, state }) => (state === 'ready' ? [name] : [])))
    const key = configured.find(one => ready.has(one.name))?.value.reveal()
    try {
      const { status } = await inquire(pools, clock, {
        origin: target.origin,
        path: `${target.basePath}${health!.path}${target.query}`,
        headers: {
          ...(key !== undefined && target.provider.authorize(key, target)),
          ...target.headers,
          'user-agent': 'understudy',
        },
        connectMs: target.timeouts.connectMs,
        timeoutMs: Math.min(health!.every, LONGEST_PROBE_MS),
      })
      return status >= 500 ? `a probe was answered with ${status}` : undefined
    } catch (thrown) {
      const { code, message } = thrown as Error & { code?: string }
      return `a probe failed: ${code ?? message}`
    }
  }

  /** A page that cannot be read says nothing. */
  async function outageOf(config: Config, name: string): Promise<string | undefined> {
    const { status_page: page, every: everyMs } = config.providers[name]!.health!
    if (page === undefined) return undefined
    const { origin, pathname, search } = new URL(page)
    const answer = await inquire(pools, clock, {
      origin,
      path: `${pathname}${search}`,
      headers: { accept: 'application/json', 'user-agent': 'understudy' },
      connectMs: config.providers[name]!.timeouts.connect,
      timeoutMs: Math.min(everyMs, LONGEST_PROBE_MS),
    }).catch(() => undefined)
    const indicator = asObject(asObject(tryParse(answer?.text ?? ''))?.status)?.indicator
    return OUTAGES.has(indicator) ? `its status page tells of a ${String(indicator)} outage` : undefined
  }

  return {
    behind: () => (unwell.size === 0 ? undefined : behind),
    whyUnwell: provider => unwell.get(provider),
    replace,
    close: () => stop(),
  }
}
