/** How much of the memory the bodies of calls under way may take. A process that runs out of it dies, and all of its calls with it. */
import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'

/** All in bytes. */
export interface Memory {
  /** What V8 lets the heap grow to. */
  readonly heapLimit: number
  /** Of the machine, or of the container that is a part of it. */
  readonly all: number
  /** How many processes share it. */
  readonly processes: number
}

/** V8 counts what is for the young as a part of its limit: so much of the memory that there is, up to the second. */
const YOUNG = { part: 3 / 64, mostBytes: 192 * 1024 ** 2 }
/** Bodies lie outside of the heap as well, and not everything is a body. */
const HEAP_OF_ALL = 1 / 2
/**
 * The texts of a body are held once as they came, and again with two bytes for each character when one of them is not ASCII and somebody has
 * to look into it: six bytes for each at the most, and the heap holds other things as well.
 */
const HEAP_PER_BYTE = 8

export const memoryOfAll = (processes: number): Memory => ({
  heapLimit: getHeapStatistics().heap_size_limit,
  all: Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
  processes,
})

/** How many bytes of bodies there is room for. */
export function roomForBodies({ heapLimit, all, processes }: Memory): number {
  const old = heapLimit - Math.min(YOUNG.mostBytes, YOUNG.part * all)
  return Math.min(old, (all / processes) * HEAP_OF_ALL) / HEAP_PER_BYTE
}
