/** Loaded into a process of which a test wants to know what it holds: what is in use once the garbage has been collected. */
import { readdirSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

process.on('message', async message => {
  if (message !== 'memory') return
  collect()
  // Buffers that the first collection found dead are given back by a task of their own, and are no longer counted after the second.
  await new Promise(resolve => setImmediate(resolve))
  collect()
  const { rss, heapUsed, external } = process.memoryUsage()
  process.send!({
    residentBytes: rss,
    usedBytes: heapUsed + external,
    descriptors: readdirSync('/dev/fd').length,
    waitsFor: process.getActiveResourcesInfo().toSorted(),
  })
})
// It does not keep the process alive; that of a worker, which is loaded with it as well, has to.
if (process.argv[1]?.endsWith('main.ts')) process.channel?.unref()
