/** Time that passes for what lies in Redis, without waiting for it. */
import type { RedisServer } from './redis-server.ts'

/** Makes everything under this prefix so many milliseconds older: what has that long left or less is gone. */
export function agedRedis(server: RedisServer, prefix: string): (ms: number) => Promise<void> {
  return async ms => {
    for (const key of (await server.command('keys', `${prefix}:*`)) as string[]) {
      const leftMs: number = await server.command('pttl', key)
      if (leftMs > 0) await server.command('pexpire', key, leftMs - ms)
      // In a sorted set, each member has a moment: when a lease ends, or when a replica was last there.
      if ((await server.command('type', key)) !== 'zset') continue
      for (const member of (await server.command('zrange', key, 0, -1)) as string[]) {
        await server.command('zincrby', key, -ms, member)
      }
    }
  }
}
