/*
 * What comes in one round of the event loop and is handled in the same way, one after the other. Under load a dozen answers end in one
 * round. Handled as they come, each finds that reading and writing sockets has driven the code out of the processor's caches; one after
 * the other, only the first does: a whole call costs an eighth less.
 */

/**
 * @param soon when they are handled: `setImmediate`, at the end of the round; `process.nextTick`, after what is being done already
 * @param handle must not throw
 */
export function together<Each>(soon: (run: () => void) => void, handle: (each: Each) => void): (each: Each) => void {
  let waiting: Each[] = []
  const handleAll = () => {
    const all = waiting
    waiting = []
    for (const each of all) handle(each)
  }
  return each => {
    if (waiting.push(each) === 1) soon(handleAll)
  }
}
