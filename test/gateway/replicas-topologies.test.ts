/* The same load where Redis is more than one process: a master that fails over, and a cluster whose slots move. */
import { describe, it } from 'node:test'
import { limitKey } from '../../src/core/limits.ts'
import { noRedis } from '../support/redis-server.ts'
import { startCluster, startWatched } from '../support/redis-topologies.ts'
import { stage } from '../support/replicas.ts'
import { assertWell, underLoad } from '../support/under-load.ts'

describe('Redis in several processes, under load', { skip: noRedis }, () => {
  it('a master is killed and its replica takes over: no client notices, and the books agree', async () => {
    // Several sentinels that have to agree are tested with the store alone.
    const redis = await startWatched(1)
    const scene = stage(redis.url)
    try {
      const scenery = await underLoad(scene)
      await scenery.calls.more(60)
      const begunAt = performance.now()
      await redis.master.kill()
      await scenery.areDegraded(true)
      const awayAt = performance.now()
      await redis.takenOver()
      await scenery.areDegraded(false)
      await assertWell(scenery, begunAt, awayAt)
    } finally {
      await scene.close()
      await redis.stop()
    }
  })

  it('of a cluster of three, the slot of a client’s limits moves: no client notices, and the books agree', async () => {
    const cluster = await startCluster()
    const scene = stage(cluster.url)
    try {
      const scenery = await underLoad(scene)
      await scenery.calls.more(60)
      const begunAt = performance.now()
      await cluster.moveSlotOf(`${scene.prefix}:${limitKey('client:team', 'budget')}`)
      await scenery.calls.more(60)
      await scenery.areDegraded(false)
      await assertWell(scenery, begunAt, Number.POSITIVE_INFINITY)
    } finally {
      await scene.close()
      await cluster.stop()
    }
  })
})
