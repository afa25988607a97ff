/*
 * How V8 is to collect garbage. Its own ways are made for programs whose objects live long or die at once, and with little memory outside of
 * its heap. A call lives for milliseconds, a stream for seconds, and both leave buffers behind.
 */
import { setFlagsFromString } from 'node:v8'

export const COLLECTOR_FLAGS: readonly string[] = [
  /*
   * V8 looks at what survives, and makes objects of a kind that mostly did in the old space from then on. Of calls under way all survive,
   * whatever kind they are: so a process that was busy while it warmed up would make parts of every call there, where each keeps its whole
   * call until the next full collection. With bodies of 100 KB that doubled what a call costs, in about every third process.
   */
  '--no-allocation-site-pretenuring',
  /*
   * It begins a full collection whenever buffers of 64 MB have been made since the last one, dead or not. With bodies of 100 KB that was ten
   * times a second, and half of what a call costs. Now they count like all other memory: the next collection of the young, which is never far
   * away, lets most of them go.
   */
  '--external-memory-accounted-in-global-limit',
  /*
   * It begins one when the heap has grown by a tenth, since that hardly holds the process up: other threads do it. They are threads all the
   * same, and with a hundred streams, which die in the old space, they were at it every two seconds, for a twentieth of what an event costs.
   * Now it may double.
   */
  '--heap-growing-percent=100',
]

export function setUpCollector(): void {
  for (const flag of COLLECTOR_FLAGS) setFlagsFromString(flag)
}
