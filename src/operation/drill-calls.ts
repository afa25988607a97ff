/* The calls of a drill, and what each of them showed. Time is skipped where nothing but waiting is left of one. */
import { systemClock } from '../core/clock.ts'
import { stopper } from '../core/stop.ts'
import { chat } from '../dialects/chat/chat.ts'
import type { Assembled } from '../gateway/assemble.ts'
import { ANYBODY } from '../gateway/clients.ts'
import { arrive, identify, serve } from '../gateway/journey.ts'
import { candidates, type Route } from '../gateway/routes.ts'
import type { Simulator } from '../simulator/simulator.ts'
import type { SkippingClock } from './skipping-clock.ts'

export interface Scene {
  readonly clock: SkippingClock
  readonly assembled: Assembled
  readonly broken: ReadonlySet<string>
  /** The simulators that break, and the others. */
  readonly breaking: readonly Simulator[]
  readonly well: readonly Simulator[]
}

export interface Called {
  readonly isAnswered: boolean
  readonly by: string | undefined
  readonly provider: string | undefined
  readonly ms: number
}

/** A route with a star is asked for by some name. */
const CARRIED = 'drill'
export const candidatesOf = (route: Route) => candidates(route, CARRIED, ANYBODY)

/** One after the other; while nobody is about to say anything, time is skipped. */
export async function called(scene: Scene, route: Route, times: number): Promise<readonly Called[]> {
  const calls: Called[] = []
  for (let time = 0; time < times; time++) {
    const call = callOne(scene, route)
    while (!(await over(call))) if (onlySilence(scene)) scene.clock.skipToNext()
    calls.push(await call)
  }
  return calls
}

const LOOK_EVERY_MS = 15

/** Whether it is over; looks again after a moment. */
function over(call: Promise<unknown>): Promise<boolean> {
  return new Promise(resolve => {
    const cancel = systemClock.after(LOOK_EVERY_MS, () => resolve(false))
    void call.finally(() => {
      cancel()
      resolve(true)
    })
  })
}

/** Nobody is about to say anything: whoever was asked and is well has answered. */
const onlySilence = ({ breaking, well }: Scene) =>
  breaking.some(({ counts }) => counts.open > 0) && well.every(({ counts }) => counts.open === 0)

let calls = 0

/** One call on the path that a client's takes, whole and streamed by turns; no two are the same, or a cache would answer. */
async function callOne({ clock, assembled: { gateway } }: Scene, route: Route): Promise<Called> {
  const number = ++calls
  const startedTicks = clock.ticks()
  const journey = arrive(gateway, undefined, stopper())
  identify(gateway, journey, undefined)
  const model = route.name.replace('*', CARRIED)
  const body = { model, stream: number % 2 === 0, messages: [{ role: 'user', content: `Drill, call ${number}` }] }
  const { stream } = await serve(gateway, chat, journey, {}, Buffer.from(JSON.stringify(body)))
  if (stream !== undefined) await new Promise<void>(end => stream.flow({ write: () => true, end }))
  const { ending, answeredBy, shownTarget } = journey
  return {
    isAnswered: ending?.kind === 'complete' || ending?.kind === 'recovered',
    by: shownTarget ?? answeredBy?.id,
    provider: answeredBy?.providerName,
    ms: clock.ticks() - startedTicks,
  }
}
