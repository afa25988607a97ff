/*
 * Streams whose events are all there, and not as they should be: a finish that comes twice, usage before the content, an error in place
 * of the end, more content after it. Real servers and the proxies before them do each of these.
 */
import type { Course } from './faults.ts'
import type { StreamEvent } from './wire.ts'

/** The same events, in the disorder of this course. `usage` and `failure` are what may come in the wrong place. */
export function* disordered(
  events: Iterable<StreamEvent>,
  course: Course,
  usage: StreamEvent,
  failure: StreamEvent,
): Generator<StreamEvent> {
  const { finishTwice, usageEarly, errorAfterFinish, dataAfterDone } = course.disorder
  let first: StreamEvent | undefined
  for (const event of events) {
    if (event.part === 'done' && errorAfterFinish) break
    if (event.part === 'token' && first === undefined) {
      first = event
      if (usageEarly) yield usage
    }
    if (usageEarly && event.part === 'usage') continue
    yield event
    if (finishTwice && event.part === 'finish') yield event
  }
  if (errorAfterFinish) yield failure
  // It counts as no token: an answer that is over has no more of them.
  if (dataAfterDone && first !== undefined) yield { ...first, part: 'frame' }
}
