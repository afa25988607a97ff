import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redaction } from '../../src/telemetry/redaction.ts'

const SECRETS = ['sk-proj-abcdefgh', 'another-secret-of-ours', 'p@ss/w"rd\\ü', 'sk-proj-abcdefgh-longer']

/** Of eight characters and of sixty, so that they are looked for at all distances. */
const BY_LENGTH = [...SECRETS, '8letters', 'long-secret-', 'longer-still-'].map((secret, at) =>
  at < SECRETS.length + 1 ? secret : secret.padEnd(60, '0123456789'),
)

test('a secret is found wherever it stands, however long the shortest one is', () => {
  for (const shortest of [8, 9, 16, 22, 60]) {
    const secrets = BY_LENGTH.filter(({ length }) => length >= shortest)
    const { redact } = redaction(secrets)
    for (const secret of secrets) {
      for (let before = 0; before < 70; before++) {
        for (const after of ['', '.', ' and more of it']) {
          const text = `${'x'.repeat(before)}${secret}${after}`
          assert.equal(redact(text), `${'x'.repeat(before)}[secret]${after}`)
        }
      }
    }
  }
})

test('it is found as JSON and URLs write it, more than once, and beside others', () => {
  const { redact } = redaction(SECRETS)
  const [key, other, odd] = SECRETS as [string, string, string]
  assert.equal(redact(JSON.stringify({ detail: odd })), '{"detail":"[secret]"}')
  assert.equal(redact(`https://h/?q=${encodeURIComponent(odd)}`), 'https://h/?q=[secret]')
  assert.equal(redact(`${key}${key} ${other}`), '[secret][secret] [secret]')
})

test('a secret that begins with another leaves nothing behind', () => {
  assert.equal(redaction(SECRETS).redact('sk-proj-abcdefgh-longer'), '[secret]')
})

test('what is no secret stays as it is, also where it begins like one', () => {
  const { redact } = redaction(SECRETS)
  for (const text of ['', 'sk-', 'sk-proj-abcdefg', 'a line with nothing in it', 'another-secret-of-mine'])
    assert.equal(redact(text), text)
  assert.equal(redaction().redact(SECRETS.join()), SECRETS.join())
})

test('words shorter than eight characters are no secrets', () => {
  assert.equal(redaction(['adc', '', 'seven77']).redact('adc seven77'), 'adc seven77')
})

test('more can be learnt', () => {
  const { redact, learn } = redaction(['first-secret'])
  learn(['second-secret'])
  assert.equal(redact('first-secret second-secret'), '[secret] [secret]')
})

test('a line costs the same with a thousand secrets', () => {
  const many = redaction(Array.from({ length: 1_000 }, (_, n) => `us-${(n * 7_919).toString(36).padStart(8, 'q')}-${n}-key`))
  const few = redaction(['us-one-and-only-key'])
  const line = JSON.stringify({
    msg: 'call',
    attempts: Array.from({ length: 8 }, (_, at) => ({ target: `p${at}/m`, outcome: 'answered' })),
  })
  const best = (run: () => void) => {
    let shortest = Number.POSITIVE_INFINITY
    for (let round = 0; round < 30; round++) {
      const since = performance.now()
      for (let n = 0; n < 200; n++) run()
      shortest = Math.min(shortest, performance.now() - since)
    }
    return shortest
  }
  const [one, thousand] = [best(() => few.redact(line)), best(() => many.redact(line))]
  // Looking for each by itself would take hundreds of times as long.
  assert.ok(thousand < 10 * one, `${thousand} ms against ${one} ms`)
})
