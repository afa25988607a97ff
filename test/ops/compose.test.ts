/* docker-compose.yml, as far as it can be checked without an engine: its form, and that its parts find each other. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { z } from 'zod'
import { loadConfig } from '../../src/config/load.ts'
import { available } from '../../src/providers/registry.ts'
import { instructionsIn } from './dockerfile.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

const duration = z.string().regex(/^(\d+(ms|s|m|h))+$/)

/** What is used here of the Compose specification, spelt as it spells it. */
const service = z.strictObject({
  image: z.string().optional(),
  build: z.string().optional(),
  command: z.array(z.string()).optional(),
  ports: z.array(z.string().regex(/^127\.0\.0\.1:\d+:\d+$/, 'is published on this machine only')).optional(),
  environment: z.record(z.string().regex(/^[A-Z_]+$/), z.string()).optional(),
  volumes: z.array(z.string()).optional(),
  read_only: z.boolean().optional(),
  cap_drop: z.array(z.literal('ALL')),
  security_opt: z.array(z.literal('no-new-privileges:true')),
  user: z.string().optional(),
  stop_grace_period: duration.optional(),
  healthcheck: z.strictObject({
    test: z.tuple([z.literal('CMD')]).rest(z.string()),
    interval: duration,
    timeout: duration,
    start_period: duration.optional(),
    retries: z.int().optional(),
  }),
  depends_on: z.record(z.string(), z.strictObject({ condition: z.literal('service_healthy') })).optional(),
  restart: z.enum(['no', 'always', 'on-failure', 'unless-stopped']),
})
const form = z.strictObject({ services: z.record(z.string(), service), volumes: z.record(z.string(), z.null()) })

const { services, volumes } = form.parse(parse(read('docker-compose.yml')))
const entries = Object.entries(services)

/** By the beginning of an image's name: what of the programs that are asked for here it brings. */
const BROUGHT: Readonly<Record<string, string>> = {
  'redis:': 'redis-cli',
  'prom/': 'wget', // of BusyBox, as all the default images of Prometheus
  'grafana/grafana:': 'wget', // Alpine
  'jaegertracing/jaeger:': 'wget', // Alpine
}

/** Where a container listens: what it publishes, what it is told to, and what its image is known for. */
function listensOn(name: string): ReadonlySet<string> {
  const known: Readonly<Record<string, readonly string[]>> = {
    jaeger: ['4317', '4318', '13133', '16686'],
    blackbox: ['9115'],
    redis: ['6379'],
  }
  const published = services[name]!.ports?.map(port => port.split(':')[2]!) ?? []
  return new Set([...published, ...(known[name] ?? [])])
}

/** `${NAME:-default}` as Compose fills it in where nothing is set. */
const filledIn = (text: string) => text.replace(/\$\{\w+:-([^}]*)\}/g, '$1')

describe('docker-compose.yml', () => {
  it('asks for nothing that has to be set first', () => {
    assert.doesNotMatch(filledIn(read('docker-compose.yml')), /\$\{/)
  })

  for (const [name, { image, build, healthcheck }] of entries) {
    it(`${name} is built here, or is an image with a tag that says which`, () => {
      assert.equal(image === undefined, build !== undefined)
      if (image !== undefined) assert.match(image, /^[a-z/-]+:v?\d+\.\d+[\w.-]*$/)
      if (build !== undefined) assert.ok(existsSync(join(ROOT, build, 'Dockerfile')))
    })

    it(`${name} tells that it is well, by a program that its image has and at a port that it listens on`, () => {
      const [, program, ...args] = healthcheck.test
      const brought = image === undefined ? 'node' : Object.entries(BROUGHT).find(([prefix]) => image.startsWith(prefix))?.[1]
      assert.equal(program, brought)
      const port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(args.join(' '))?.[1]
      if (program !== 'redis-cli') assert.ok(listensOn(name).has(port!), port)
    })
  }

  it('publishes each port once', () => {
    const published = entries.flatMap(([, { ports = [] }]) => ports.map(port => port.split(':')[1]))
    assert.equal(new Set(published).size, published.length)
  })

  it('waits for services that there are, and never in a circle', () => {
    const done = new Set<string>()
    for (let before = -1; before !== done.size; ) {
      before = done.size
      for (const [name, { depends_on = {} }] of entries)
        if (Object.keys(depends_on).every(other => done.has(other))) done.add(name)
    }
    assert.deepEqual([...done].sort(), Object.keys(services).sort())
  })

  it('mounts files that there are, to be read only, and volumes that it declares', () => {
    const used = new Set<string>()
    for (const [name, { volumes: mounts = [] }] of entries) {
      for (const mount of mounts) {
        const [source, target, mode] = mount.split(':')
        assert.match(target!, /^\//)
        if (!source!.startsWith('./')) used.add(source!)
        else assert.deepEqual([existsSync(join(ROOT, source!)), mode], [true, 'ro'], `${name}: ${mount}`)
      }
    }
    assert.deepEqual([...used].sort(), Object.keys(volumes).sort())
  })

  it('names in the files that it mounts only services that there are, at ports where they listen', () => {
    const sources = parse(read('grafana/provisioning/datasources/understudy.yml')).datasources.map(({ url }: any) => url)
    const prometheus = parse(read('config/prometheus.yml'))
    const scraped = prometheus.scrape_configs.flatMap(({ static_configs, relabel_configs = [] }: any) => [
      ...static_configs.flatMap(({ targets }: any) => targets),
      ...relabel_configs.map(({ replacement }: any) => replacement).filter((value: unknown) => value !== undefined),
    ])
    const told = services.gateway!.environment!.OTEL_EXPORTER_OTLP_ENDPOINT
    const addresses = [...sources, ...scraped, told].map((one: string) => new URL(one.includes('://') ? one : `http://${one}`))
    assert.ok(addresses.length >= 6)
    for (const { hostname, port } of addresses) {
      assert.ok(hostname in services, hostname)
      assert.ok(listensOn(hostname).has(port), `${hostname}:${port}`)
    }
    for (const file of prometheus.rule_files) {
      const there = services.prometheus!.volumes!.map(mount => mount.split(':')[1])
      assert.ok(there.includes(`/etc/prometheus/${file}`), file)
    }
  })

  it('gives the demo all that it needs to be reached from beyond its container', async () => {
    const env = Object.fromEntries(Object.entries(services.gateway!.environment!).map(([key, value]) => [key, filledIn(value)]))
    const loaded = await loadConfig(join(ROOT, 'config/demo.yaml'), { env, available })
    assert.ok(loaded.ok)
    const { server, admin } = loaded.config
    const exposed = instructionsIn(read('Dockerfile'))
      .find(({ name }) => name === 'EXPOSE')!
      .rest.split(' ')
    for (const { host, port } of [server.listen, admin.listen]) {
      assert.equal(host, '0.0.0.0')
      assert.ok(listensOn('gateway').has(String(port)))
      assert.ok(exposed.includes(String(port)))
    }
    assert.ok(admin.token)
  })

  it('lets the gateway drain before it is killed', async () => {
    const loaded = await loadConfig(join(ROOT, 'config/demo.yaml'), { env: {}, available })
    assert.ok(loaded.ok)
    assert.ok(Number.parseInt(services.gateway!.stop_grace_period!, 10) * 1000 > loaded.config.server.drain)
  })

  it('is what Compose itself understands', { skip: noCompose() }, () => {
    execFileSync('docker', ['compose', '-f', 'docker-compose.yml', 'config', '--quiet'], { cwd: ROOT })
  })
})

/** Why Compose cannot be asked, or false. */
function noCompose(): string | false {
  try {
    execFileSync('docker', ['compose', 'version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'no docker with Compose is here'
  }
}
