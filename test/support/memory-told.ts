/** Loaded into a process of whose memory a test wants to know: what is in use once the garbage has been collected. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

process.on('message', message => {
  if (message !== 'memory') return
  collect()
  const { rss, heapUsed, external } = process.memoryUsage()
  process.send!({ residentBytes: rss, usedBytes: heapUsed + external })
})
// It does not keep the process alive.
process.channel?.unref()
