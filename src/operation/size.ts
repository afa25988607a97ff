import { availableParallelism } from 'node:os'
import type { Config } from '../config/schema.ts'

/** How many processes answer calls. */
export const processesOf = ({ server }: Config): number => (server.workers === 'auto' ? availableParallelism() : server.workers)
