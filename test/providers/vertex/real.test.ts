/*
 * Recorded traffic of Claude at Vertex against a simple reading of the same JSON. The recordings do not belong to this project:
 * RECORDINGS names their folder, and without it this suite is skipped by name.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { vertex } from '../../../src/providers/vertex/vertex.ts'
import { CUTS } from '../cuts.ts'
import { recordingsIn, see } from '../reading.ts'

const FOLDER = process.env.RECORDINGS

type Raw = any

if (FOLDER === undefined) {
  test('real recordings of Claude at Vertex decode to what their JSON says', { skip: 'RECORDINGS names no folder' }, () => {})
} else {
  for (const recording of recordingsIn(join(FOLDER, 'vertex')).filter(({ api }) => api === 'vertex.anthropic.rawPredict')) {
    test(`vertex/${recording.file}`, () => {
      const { raw, body } = recording.response
      const seen = see(vertex, recording)
      const said = raw === undefined ? blocksOf(body) : deltasOf(raw)
      assert.equal(seen.fault, undefined, seen.detail)
      assert.equal(seen.text ?? '', said.text)
      assert.deepEqual(
        (seen.tools ?? []).map(tool => [tool.id, tool.name, JSON.parse(tool.arguments)]),
        said.tools,
      )
      assert.equal(seen.finish, said.tools.length > 0 ? 'tool_calls' : 'stop')
      assert.equal(seen.usage?.output, said.output)
      if (raw !== undefined) for (const [manner, cut] of CUTS) assert.deepEqual(see(vertex, recording, cut), seen, manner)
    })
  }
}

function blocksOf(body: Raw) {
  const text = body.content.map((block: Raw) => block.text ?? '').join('')
  const tools = body.content.flatMap((block: Raw) => (block.type === 'tool_use' ? [[block.id, block.name, block.input]] : []))
  return { text, tools, output: body.usage.output_tokens }
}

function deltasOf(raw: string) {
  const events: Raw[] = raw.split('\n').flatMap(line => (line.startsWith('data:') ? [JSON.parse(line.slice(5))] : []))
  const text = events.map(event => event.delta?.text ?? '').join('')
  const tools = events.flatMap(event => {
    const block = event.content_block
    if (block?.type !== 'tool_use') return []
    const json = events.map(other => (other.index === event.index ? (other.delta?.partial_json ?? '') : '')).join('')
    return [[block.id, block.name, JSON.parse(json || '{}')]]
  })
  return { text, tools, output: events.findLast(event => event.type === 'message_delta')?.usage.output_tokens }
}
