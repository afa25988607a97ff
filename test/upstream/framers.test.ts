import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FRAMINGS, framingOf } from '../../src/upstream/framers.ts'
import { awsMessage } from './aws-message.ts'

test('an answer is a stream when its media type is of the own framing, or server-sent events in its place', () => {
  assert.equal(framingOf('sse', 'text/event-stream'), FRAMINGS.sse)
  assert.equal(framingOf('ndjson', 'application/x-ndjson'), FRAMINGS.ndjson)
  assert.equal(framingOf('ndjson', 'text/event-stream'), FRAMINGS.sse)
  assert.equal(framingOf('aws-events', 'application/vnd.amazon.eventstream'), FRAMINGS['aws-events'])
  assert.equal(framingOf('aws-events', 'text/event-stream'), FRAMINGS.sse)
})

test('everything else is a whole answer', () => {
  for (const own of ['sse', 'ndjson', 'aws-events'] as const) {
    for (const mediaType of ['application/json', 'text/html', 'text/plain', '']) {
      assert.equal(framingOf(own, mediaType), undefined, `${own} ${mediaType}`)
    }
  }
  assert.equal(framingOf('sse', 'application/x-ndjson'), undefined)
})

test('every framing reads its own kind, each answer by itself', async () => {
  const bytes = {
    sse: Buffer.from('data: x\n\n'),
    ndjson: Buffer.from('x\n'),
    'aws-events': awsMessage({ ':message-type': 'event', ':event-type': 'e' }, 'x'),
  }
  for (const [name, framing] of Object.entries(FRAMINGS)) {
    const [one, other] = [await framing.make(), await framing.make()]
    const message = bytes[name as keyof typeof bytes]
    one.push(message.subarray(0, 1))
    const { frames } = other.push(message)
    assert.deepEqual(
      frames.map(({ data }) => data),
      ['x'],
      name,
    )
  }
})
