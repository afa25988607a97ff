/* Who may import whom, which folder owns which library, and the words that are not used: the house rules that a machine can check. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { providers } from '../src/providers/registry.ts'

const SRC = fileURLToPath(new URL('../src', import.meta.url))

/** From top to bottom; imports point downwards, and folders on one line do not know each other. */
const FLOORS = [
  ['main.ts'],
  ['cli.ts'],
  ['commands.ts', 'operation'],
  ['http', 'simulator'],
  ['gateway'],
  ['dialects', 'config'],
  ['resilience', 'limits', 'cache'],
  ['state', 'upstream', 'providers', 'usage', 'telemetry'],
  ['core'],
]

const OWNERS: Readonly<Record<string, readonly string[]>> = {
  fastify: ['http'],
  undici: ['upstream'],
  '@smithy/eventstream-codec': ['upstream'],
  'google-auth-library': ['providers'],
  ioredis: ['state'],
  'node:sqlite': ['state'],
  yaml: ['config'],
  pino: ['telemetry'],
  'prom-client': ['telemetry'],
  '@opentelemetry': ['telemetry'],
  zod: ['core', 'config', 'dialects', 'providers'],
  'node:fs': ['config', 'cli.ts'],
  'node:fs/promises': ['config'],
}

/** A provider's folder knows no other, save those that it is a relative of: the same API at another place, or a part of it. */
const RELATIVES: Readonly<Record<string, readonly string[]>> = {
  vertex: ['gemini', 'anthropic'],
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.ts'))
  .map(file => ({ file, folder: file.split('/')[0]!, text: readFileSync(join(SRC, file), 'utf8') }))

const importsOf = (text: string) =>
  [
    ...text.matchAll(
      /(?:^|\n)\s*(?:import|export)[^'"\n;]*?(?:\{[^}]*\}[^'"\n;]*?)?from\s+['"]([^'"]+)['"]|import\(['"]([^'"]+)['"]\)/g,
    ),
  ].map(match => (match[1] ?? match[2])!)

describe('the house', () => {
  it('is read as a whole by this test', () => {
    assert.ok(files.length > 50)
    for (const { folder } of files) assert.ok(FLOORS.flat().includes(folder), `${folder} has its place in the order`)
  })

  for (const { file, folder, text } of files) {
    it(`${file} imports only what lies below it`, () => {
      const floor = FLOORS.findIndex(folders => folders.includes(folder))
      for (const imported of importsOf(text)) {
        if (imported.startsWith('.')) {
          const target = relative(SRC, join(SRC, dirname(file), imported))
          if (target.startsWith('..')) continue
          const other = target.split('/')[0]!
          const otherFloor = FLOORS.findIndex(folders => folders.includes(other))
          assert.ok(other === folder || otherFloor > floor, `${file} imports ${target}`)
          if (folder === 'providers') {
            const [, mine, theirs] = [null, file.split('/')[1]!, target.split('/')[1]!]
            const allowed =
              mine === theirs ||
              theirs === 'kit' ||
              theirs === 'openai' ||
              mine === 'registry.ts' ||
              other !== 'providers' ||
              RELATIVES[mine]?.includes(theirs)
            assert.ok(allowed, `${file} knows another provider: ${target}`)
          }
        } else {
          const library = Object.keys(OWNERS).find(name => imported === name || imported.startsWith(`${name}/`))
          if (library !== undefined) assert.ok(OWNERS[library]!.includes(folder), `${file} imports ${imported}`)
        }
      }
    })
  }

  it('asks for the environment only in config and the command line', () => {
    for (const { file, folder, text } of files) {
      if (folder !== 'config' && folder !== 'cli.ts') assert.doesNotMatch(text, /process\.env/, file)
    }
  })

  it('asks the machine for the time only through a Clock, outside the simulator', () => {
    for (const { file, folder, text } of files) {
      if (file === 'core/clock.ts' || folder === 'simulator') continue
      assert.doesNotMatch(text, /Date\.now\(|performance\.now\(|setTimeout\(/, file)
    }
  })

  it('has getters in classes only: V8 keeps what that of an object literal can see until its next full collection', () => {
    // Those of a class, and of what is made once, stand at the first step.
    for (const { file, text } of files) assert.doesNotMatch(text, /^ {4,}[gs]et [\w[]/m, file)
  })

  it('names no provider outside providers and the simulator', () => {
    const names = [...providers.keys()].filter(name => !name.startsWith('openai'))
    const free = new Set(['providers', 'simulator', 'config', 'cli.ts'])
    for (const { file, folder, text } of files) {
      if (free.has(folder)) continue
      for (const name of names) assert.doesNotMatch(text, new RegExp(`['"\`]${name}\\b`, 'i'), `${file} names ${name}`)
    }
  })

  it('uses none of the words that say nothing in its file names', () => {
    for (const { file } of files) {
      assert.doesNotMatch(file, /handler|manager|service|util|helper|common|misc|(^|\/)data|info|process|wrapper|base/, file)
      assert.match(file, /^[a-z0-9/.-]+$/, `${file} is in kebab-case`)
    }
  })

  it('keeps the path of a call readable: journey.ts under 150 lines', () => {
    const journey = files.find(({ file }) => file === 'gateway/journey.ts')!
    assert.ok(journey.text.split('\n').length < 150)
  })
})
