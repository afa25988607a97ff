/** `npm run readme`: writes the README's tables from the code. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { withTables } from './support/readme-tables.ts'

const README = fileURLToPath(new URL('../README.md', import.meta.url))
writeFileSync(README, withTables(readFileSync(README, 'utf8')))
