import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LogLevel, log } from '../../src/telemetry/log.ts'

function opened(level: LogLevel) {
  const lines: string[] = []
  return { lines, written: log(level, text => text, { write: line => void lines.push(line) }) }
}

test('a line is JSON with its level, its time and its message, and ends with a line end', () => {
  const { lines, written } = opened('info')
  const before = Date.now()
  written.info('call', { id: 'a', route: undefined, attempts: [{ ms: 1.5 }] })
  const [line] = lines
  assert.match(line!, /^\{.*\}\n$/)
  const { time, ...others } = JSON.parse(line!)
  assert.deepEqual(others, { level: 30, msg: 'call', id: 'a', attempts: [{ ms: 1.5 }] })
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  assert.ok(Date.parse(time) >= before && Date.parse(time) <= Date.now())
})

test('a message may hold anything, and there may be no fields', () => {
  const { lines, written } = opened('info')
  for (const message of ['stopped', 'say "no"', 'two\nlines', 'ü']) {
    written.warn(message)
    written.error(message, {})
  }
  const read = lines.map(line => JSON.parse(line))
  assert.ok(lines.every(line => line.indexOf('\n') === line.length - 1))
  assert.deepEqual(
    read.map(({ level, msg }) => [level, msg]),
    ['stopped', 'say "no"', 'two\nlines', 'ü'].flatMap(message => [
      [40, message],
      [50, message],
    ]),
  )
})

test('what is below the level is not written, and silent writes nothing', () => {
  for (const [level, heard] of [
    ['trace', ['d', 'i', 'w', 'e']],
    ['debug', ['d', 'i', 'w', 'e']],
    ['info', ['i', 'w', 'e']],
    ['warn', ['w', 'e']],
    ['error', ['e']],
    ['fatal', []],
    ['silent', []],
  ] as const) {
    const { lines, written } = opened(level)
    written.debug('d')
    written.info('i')
    written.warn('w')
    written.error('e')
    assert.deepEqual(
      lines.map(line => JSON.parse(line).msg),
      heard,
      level,
    )
  }
})
