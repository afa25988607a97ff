import { test } from 'node:test'
import { accepted, expectProblems, ROUTES } from '../marked.ts'

test('a type that is not built is refused, and which ones are is told by the caller', async () => {
  const text = (mark: string) => `providers:\n  openai: {type: openai}\n  g: {type: ${mark}gemini}\n${ROUTES}`
  await expectProblems(text('▸'), ['providers.g.type  "gemini" is not available yet'], { available: new Set(['openai']) })
  await accepted(text(''), { available: new Set(['openai', 'gemini']) })
  await expectProblems(
    `providers:\n  openai: {type: ▸openai}\n${ROUTES}`,
    ['providers.openai.type  "openai" is not available yet'],
    { available: new Set(['anthropic']) },
  )
})

test('a type that lives at no address of its own needs a base_url', async () => {
  await expectProblems(`providers:\n  ▸openai: {type: openai-compatible}\n  ▸v: {type: vllm}\n  g: {type: groq}\n${ROUTES}`, [
    'providers.openai.base_url  is missing: the type "openai-compatible" has no address of its own',
    'providers.v.base_url  is missing: the type "vllm" has no address of its own',
  ])
})

test('only a model whose API takes the beginning of an answer can be said to go on with one', async () => {
  const text = (mark: string, type: string) =>
    `providers:\n  openai: {type: ${type}, models: {x: {prefill: ${mark}true}, y: {prefill: false}}}\n${ROUTES}`
  await accepted(text('', 'mistral'))
  await expectProblems(text('▸', 'openai'), [
    'providers.openai.models.x.prefill  the type "openai" cannot be handed the beginning of an answer; leave it out, and recover with "splice"',
  ])
})

test('a base_url has a query only where the version of an API belongs there', async () => {
  const types = { available: new Set(['openai', 'azure']) }
  const good = (name: string, rest: string) => `  ${name}: {type: azure, base_url: 'https://a.example${rest}'}\n`
  const version = 'api-version=2024-10-21'
  const fine = ['', `?${version}`, '/openai/v1?api-version=preview', '/models?api-version=2024-05-01-preview']
  const azures = fine.map((rest, index) => good(`a${index}`, rest)).join('')
  await accepted(`providers:\n  openai: {type: openai}\n${azures}${ROUTES}`, types)
  const wrong = [`?${version}&key=hunter2`, '?key=hunter2', '?', '?api-version=', `?${version}&${version}`, '?api-version=%20']
  const bad = wrong.map((rest, index) => `  a${index}: {type: azure, base_url: ▸'https://a.example${rest}'}\n`).join('')
  await expectProblems(
    `providers:\n  openai: {type: openai, base_url: ▸'https://a/v1?${version}'}\n${bad}  f: {type: azure, base_url: ▸'https://a/#?x'}\n${ROUTES}`,
    [
      'providers.openai.base_url  a base_url must not have a query',
      ...wrong.map(
        (_, index) =>
          `providers.a${index}.base_url  the query of this base_url may say one thing only, such as ?api-version=2024-10-21`,
      ),
      'providers.f.base_url  a base_url must not have a fragment',
    ],
    types,
  )
})

test('a base_url may be a simulator of this file, which has to be there', async () => {
  const text = (mark: string, name: string) =>
    `providers:\n  openai: {type: openai, base_url: ${mark}simulator:${name}/v1}\n${ROUTES}simulators: [{name: flaky}]\n`
  await accepted(text('', 'flaky'))
  await expectProblems(text('▸', 'flakey'), ['providers.openai.base_url  there is no simulator "flakey" (did you mean "flaky"?)'])
})

test('simulators have names of their own and an address', async () => {
  await expectProblems(
    `providers:\n  openai: {type: openai}\n${ROUTES}simulators: [{name: a}, {name: ▸a}, {name: b, listen: ▸9100}, {name: c, listen: ▸"x"}]\n`,
    [
      'simulators[1].name  two simulators have this name',
      'simulators[2].listen  expected text, found a number',
      'simulators[3].listen  not an address; write it as host:port, such as 127.0.0.1:0',
    ],
  )
})

test('two keys of a provider cannot have one name, given or by position', async () => {
  await expectProblems(
    `providers:
  openai:
    type: openai
    keys: [{name: a, value: x}, {name: ▸a, value: y}, {name: key-4, value: z}, ▸w]
${ROUTES}`,
    [
      'providers.openai.keys[1].name  two keys have the name "a": this one and keys[0]',
      'providers.openai.keys[3]  two keys have the name "key-4": this one and keys[2]',
    ],
  )
})

test('the longest wait is not below the first, given or by default', async () => {
  await expectProblems(
    `providers:
  openai:
    type: openai
    retry: {backoff: {first: 3s, max: ▸1s}}
    circuit: {open: 2m, open_max: ▸1m}
  b: {type: groq, retry: {backoff: {max: ▸50ms}}, circuit: {open_max: ▸10s}}
${ROUTES}`,
    [
      'providers.openai.retry.backoff.max  must not be shorter than first',
      'providers.openai.circuit.open_max  must not be shorter than open',
      'providers.b.retry.backoff.max  must not be shorter than first',
      'providers.b.circuit.open_max  must not be shorter than open',
    ],
  )
})

test('a first wait above the default of the longest one is reported at its parent', async () => {
  await expectProblems(`providers:\n  openai: {type: openai, retry: {▸backoff: {first: 3s}}, ▸circuit: {open: 10m}}\n${ROUTES}`, [
    'providers.openai.retry.backoff.max  is 2s unless given, and must not be shorter than first',
    'providers.openai.circuit.open_max  is 5m unless given, and must not be shorter than open',
  ])
})

test('the name of a provider is plain', async () => {
  await expectProblems(`providers:\n  openai: {type: openai}\n  ▸a/b: {type: groq}\n  ▸"": {type: groq}\n${ROUTES}`, [
    'providers.a/b  a name has up to 64 letters, digits, ".", "_" and "-", and begins with a letter or digit',
    'providers[""]  a name has up to 64 letters, digits, ".", "_" and "-", and begins with a letter or digit',
  ])
})
