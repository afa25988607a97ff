import assert from 'node:assert/strict'
import { test } from 'node:test'
import { didYouMean, distance, suggest } from '../../src/config/suggest.ts'

test('the distance counts insertions, deletions, replacements and swapped neighbours', () => {
  assert.equal(distance('', 'abc'), 3)
  assert.equal(distance('target', 'targets'), 1)
  assert.equal(distance('targets', 'target'), 1)
  assert.equal(distance('openai', 'opemai'), 1)
  assert.equal(distance('opneai', 'openai'), 1)
  assert.equal(distance('kitten', 'sitting'), 3)
  assert.equal(distance('same', 'same'), 0)
})

test('the nearest candidate is suggested, whatever its capitals and dashes', () => {
  assert.equal(suggest('fallback', ['fallbacks', 'deadline']), 'fallbacks')
  assert.equal(suggest('base-url', ['base_url', 'headers']), 'base_url')
  assert.equal(suggest('OpenAI', ['openai', 'anthropic']), 'openai')
  assert.equal(suggest('gorq', ['grok', 'groq']), 'groq')
})

test('nothing is suggested for a word that resembles none', () => {
  assert.equal(suggest('colour', ['deadline', 'targets']), undefined)
  assert.equal(suggest('x', ['y']), undefined)
  assert.equal(suggest('', ['a', 'b']), undefined)
  assert.equal(suggest('a'.repeat(5_000), ['a'.repeat(4_999)]), undefined)
})

test('a suggestion is a question, and no suggestion is no text', () => {
  assert.equal(didYouMean('opnai', ['openai']), ' (did you mean "openai"?)')
  assert.equal(didYouMean('zzz', ['openai']), '')
})
