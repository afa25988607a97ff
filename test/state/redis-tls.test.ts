/* Redis over TLS, with a certificate of its own: trusted where Node is told to, and refused where it is not. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { freePort } from '../support/free-port.ts'
import { noRedis, startRedis } from '../support/redis-server.ts'

const execute = promisify(execFile)

test('rediss:// is spoken to where its certificate is trusted, and counts as away where it is not', {
  skip: noRedis,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-tls-'))
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  await execute('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-keyout',
    key,
    '-out',
    certificate,
    ...subject,
  ])
  const port = await freePort()
  const files = ['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-ca-cert-file', certificate]
  const server = await startRedis(['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no', ...files])
  const [opened, connection, redisUrl, clock] = [
    './opened.ts',
    '../../src/state/connection.ts',
    '../../src/state/redis-url.ts',
    '../../src/core/clock.ts',
  ].map(path => new URL(path, import.meta.url).href)
  const script = `
    const { opened } = await import(${JSON.stringify(opened)})
    const { store, changes } = await opened('rediss://localhost:${port}', { commandTimeoutMs: 1000 })
    await store.write('a', 'kept', 1000)
    process.stdout.write(JSON.stringify([changes.length > 0, await store.read(['a', 'b']).catch(() => 'away')]))
    await store.close()
    // Given up in the middle of a handshake, again and again: nothing of it may end the process.
    const { connect } = await import(${JSON.stringify(connection)})
    const { parseRedisUrl } = await import(${JSON.stringify(redisUrl)})
    const { systemClock } = await import(${JSON.stringify(clock)})
    for (let times = 0; times < 60; times++) {
      const one = connect(parseRedisUrl('rediss://localhost:${port}'), systemClock, Math.random, { lost() {}, ready() {}, message() {} })
      await new Promise(resolve => setTimeout(resolve, Math.random() * 12))
      one.close()
    }`
  const run = async (env: Record<string, string>) =>
    JSON.parse(
      (await execute(process.execPath, ['--input-type=module', '-e', script], { env: { ...process.env, ...env } })).stdout,
    )
  try {
    assert.deepEqual(await run({ NODE_EXTRA_CA_CERTS: certificate }), [false, ['kept', null]])
    assert.deepEqual(await run({}), [true, 'away'])
  } finally {
    await server.stop()
    await rm(folder, { recursive: true })
  }
})
