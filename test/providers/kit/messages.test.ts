import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ChatMessage, ContentPart } from '../../../src/core/chat.ts'
import {
  argumentsOf,
  fileOf,
  imageOf,
  parseDataUrl,
  partsOf,
  textOf,
  toolIds,
  turnsOf,
} from '../../../src/providers/kit/messages.ts'

describe('content', () => {
  it('is a list of parts, whatever form it had', () => {
    assert.deepEqual(partsOf('a'), [{ type: 'text', text: 'a' }])
    assert.deepEqual(partsOf(null), [])
    assert.deepEqual(partsOf(undefined), [])
    const odd = [{ type: 'text', text: 'a' }, null, 3, {}, { type: 7 }] as unknown as ContentPart[]
    assert.deepEqual(partsOf(odd), [{ type: 'text', text: 'a' }])
  })

  it('has texts, refusals among them', () => {
    assert.equal(textOf({ type: 'text', text: 'a' }), 'a')
    assert.equal(textOf({ type: 'refusal', refusal: 'no' }), 'no')
    assert.equal(textOf({ type: 'text', text: 3 } as unknown as ContentPart), undefined)
    assert.equal(textOf({ type: 'image_url', text: 'a' }), undefined)
  })
})

describe('a data URL', () => {
  it('is read with its type and as base64', () => {
    assert.deepEqual(parseDataUrl('data:image/PNG;base64,AAAA'), { mediaType: 'image/png', base64: 'AAAA' })
    assert.deepEqual(parseDataUrl('DATA:text/plain;charset=utf-8;base64,AAAA'), { mediaType: 'text/plain', base64: 'AAAA' })
    assert.deepEqual(parseDataUrl('data:,a%20b'), { mediaType: 'text/plain', base64: Buffer.from('a b').toString('base64') })
    assert.deepEqual(parseDataUrl('data:,100%'), { mediaType: 'text/plain', base64: Buffer.from('100%').toString('base64') })
  })

  it('is nothing else', () => {
    for (const url of ['', 'data:image/png;base64', 'https://a.example/,', 'AAAA']) assert.equal(parseDataUrl(url), undefined)
  })
})

describe('images and files', () => {
  it('are data, at an address or with the provider', () => {
    const inline = { kind: 'inline', mediaType: 'image/jpeg', base64: 'AA==' }
    assert.deepEqual(imageOf({ type: 'image_url', image_url: { url: 'data:image/jpg;base64,AA==' } }), inline)
    assert.deepEqual(imageOf({ type: 'image_url', image_url: 'https://a.example/a' }), {
      kind: 'address',
      url: 'https://a.example/a',
    })
    assert.deepEqual(fileOf({ type: 'file', file: { file_id: 'f', filename: 'a' } }), {
      source: { kind: 'id', id: 'f' },
      name: 'a',
    })
    const named = { source: { kind: 'inline', mediaType: 'application/pdf', base64: 'AA==' }, name: 'a.PDF' }
    assert.deepEqual(fileOf({ type: 'file', file: { file_data: 'AA==', filename: 'a.PDF' } }), named)
  })

  it('of the wrong shape are none', () => {
    for (const image_url of [undefined, null, 3, {}, { url: 3 }, 'gs://bucket/a', 'AAAA']) {
      assert.equal(imageOf({ type: 'image_url', image_url }), undefined)
    }
    const files = [
      undefined,
      'x',
      {},
      { file_data: '' },
      { file_data: 'AA==' },
      { file_data: 'AA==', filename: 'a.zip' },
      { file_data: 'gs://b/a.pdf' },
    ]
    for (const file of files) assert.equal(fileOf({ type: 'file', file }), undefined)
  })
})

describe('arguments', () => {
  it('are an object, and what is none is kept as it was', () => {
    assert.deepEqual(argumentsOf('{"a":1}'), { a: 1 })
    for (const nothing of ['', ' ', undefined, 3]) assert.deepEqual(argumentsOf(nothing), {})
    for (const broken of ['{"a":', '[1]', 'null', '"a"']) assert.deepEqual(argumentsOf(broken), { raw: broken })
  })
})

describe('turns', () => {
  const message = (role: string, content = role): ChatMessage => ({ role, content })

  it('alternate, with the results of tools on the side of the user', () => {
    const [a, b, c, d, e] = [
      message('user'),
      message('assistant'),
      message('assistant', 'more'),
      message('tool'),
      message('user', 'so'),
    ]
    assert.deepEqual(turnsOf([a, b, c, d, e]).turns, [
      { role: 'user', messages: [a] },
      { role: 'assistant', messages: [b, c] },
      { role: 'user', messages: [d, e] },
    ])
  })

  it('are apart from the instructions, which do not divide a turn', () => {
    const [a, b, c, d] = [message('system'), message('user'), message('developer'), message('user', 'more')]
    assert.deepEqual(turnsOf([a, b, c, d]), { instructions: [a, c], turns: [{ role: 'user', messages: [b, d] }] })
  })
})

describe('tool ids', () => {
  const LEGAL = /^[a-z0-9_]+$/i

  it('that are legal stay, and others become the same legal one every time', () => {
    const ids = toolIds(LEGAL)
    assert.equal(ids.forCall('call_1'), 'call_1')
    const renamed = ids.forCall('a.b:1')
    assert.match(renamed, LEGAL)
    assert.equal(ids.forResult('a.b:1'), renamed)
    assert.equal(toolIds(LEGAL).forCall('a.b:1'), renamed)
    assert.notEqual(ids.forCall('a.b:2'), renamed)
  })

  it('that are used again get a number, and a result belongs to the latest call', () => {
    const ids = toolIds(LEGAL)
    assert.deepEqual(
      [ids.forCall('x'), ids.forResult('x'), ids.forCall('x'), ids.forResult('x'), ids.forCall('x')],
      ['x', 'x', 'x_2', 'x_2', 'x_3'],
    )
  })

  it('of results without a call are renamed in the same way', () => {
    assert.equal(toolIds(LEGAL).forResult('x'), 'x')
    assert.equal(toolIds(LEGAL).forResult('a.b'), toolIds(LEGAL).forCall('a.b'))
  })
})
