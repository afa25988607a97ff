import assert from 'node:assert/strict'
import { it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { pair } from '../support/routes.ts'
import { HELLO, running } from '../support/running.ts'

it('a compressed body is refused with the remedy, and an uncompressed one that says so is taken', async () => {
  const gateway = await running(pair())
  try {
    const body = JSON.stringify({ model: 'pair', messages: HELLO })
    const send = (encoding: string, bytes: Uint8Array<ArrayBuffer>) =>
      fetch(`${gateway.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-encoding': encoding },
        body: bytes,
      })
    const refused = await send('gzip', new Uint8Array(gzipSync(body)))
    assert.equal(refused.status, 415)
    const { error } = (await refused.json()) as any
    assert.equal(error.code, 'unsupported_media_type')
    assert.match(error.message, /without "content-encoding"/)
    assert.equal(gateway.simulators.get('primary')!.counts.total, 0)
    const taken = await send('identity', new Uint8Array(Buffer.from(body)))
    assert.equal(taken.status, 200)
    await taken.text()
  } finally {
    await gateway.close()
  }
})
