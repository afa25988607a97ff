#!/usr/bin/env node
/*
 * The way in. What Node makes of the source before it runs, its JavaScript and its bytecode, is kept for the next start, which then takes
 * nearly a third less. It lies beside the modules that it is made of: whoever may write there could change these as well, which is not so in the
 * folder for all that Node would take. Where it may not be written, every start is as the first.
 */
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/understudy', import.meta.url)))
const { run } = await import('./cli.ts')
await run()
