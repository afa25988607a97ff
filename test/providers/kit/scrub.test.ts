import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scrub, scrubKeys, shorten } from '../../../src/providers/kit/scrub.ts'

const GONE = '[removed]'

for (const [name, text, clean] of [
  ['a URL', 'See https://platform.example.com/account/api-keys.', `See ${GONE}`],
  ['a host', 'upstream api.internal.example.com said no', `upstream ${GONE} said no`],
  ['a host with port and path', 'POST llm.corp:8443/v1/chat failed', `POST ${GONE} failed`],
  ['a bare name with a port', 'connect to vllm-3:8000 failed', `connect to ${GONE} failed`],
  ['localhost', 'dial localhost:11434: refused', `dial ${GONE}: refused`],
  ['an IPv4 address', 'from 10.0.12.7:443, denied', `from ${GONE}, denied`],
  ['an IPv6 address', 'from fe80::1ff:fe23:4567:890a denied', `from ${GONE} denied`],
  ['a full IPv6 address', 'from 2001:db8:0:0:8:800:200c:417a denied', `from ${GONE} denied`],
  ['a key with a known prefix', 'key sk-proj-abc123DEF456ghi789 is bad', `key ${GONE} is bad`],
  ['a key that follows the word', 'Incorrect API key provided: test-key. Bye', `Incorrect API key provided: ${GONE} Bye`],
  ['a masked key', 'Incorrect key in***ey.', `Incorrect key ${GONE}`],
  ['a bearer', 'header Bearer abc.def-ghi was', `header ${GONE} was`],
  ['a JSON web token', 'token eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM.c2lnbmF0dXJl no', `token ${GONE} no`],
  ['a long hash', 'token 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b no', `token ${GONE} no`],
  ['an organization', 'in organization org-Ab12Cd34Ef on tokens', `in organization ${GONE} on tokens`],
] as const) {
  test(`${name} does not reach a client`, () => assert.equal(scrub(text), clean))
}

for (const text of [
  "Invalid type for 'messages[0].content[1].image_url.url': expected an object.",
  "This model's maximum context length is 128000 tokens. However, you requested 130123 tokens.",
  "Unsupported value: 'tools.function.parameters' at 12:30:45, line 3:14.",
  'The model `meta-llama/llama-4-maverick-17b-128e-instruct` needs max_tokens <= 8192.',
  "Missing field 'user_id' in sk-learn config, std::string v1.2.3",
]) {
  test(`a client can still read: ${text}`, () => assert.equal(scrub(text), text))
}

test('a message to a client has at most 1,000 characters', () => {
  assert.equal(scrub('word '.repeat(1_000)).length, 1_000)
})

test('operators read hosts, and no keys either', () => {
  assert.equal(scrubKeys('https://api.example.com refused sk-abcdefgh12345678'), `https://api.example.com refused ${GONE}`)
})

test('nothing is cut through the middle of a character', () => {
  assert.equal(shorten('ab😀cd', 4), 'ab…')
  assert.equal(shorten('ab😀c', 5), 'ab😀c')
})

test('hostile text is read in no time', () => {
  const begun = performance.now()
  for (const bit of ['a.', 'a-', '1.', ':', 'f:', 'http://', '*', 'api key: ', 'sk-', 'Aa1']) scrub(bit.repeat(200_000))
  assert.ok(performance.now() - begun < 1_000)
})
