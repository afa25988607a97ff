import assert from 'node:assert/strict'
import { test } from 'node:test'
import { summary } from '../../src/config/summary.ts'
import { accepted, ENV, PROVIDERS, ROUTES } from './marked.ts'

test('a summary shows routes and providers, and no secret', async () => {
  const config = await accepted(
    `
server: {listen: "[::]:80"}
providers:
  openai: {type: openai, keys: [env:KEY, {name: team-b, value: other}], tags: [us, eu]}
  near: {type: vllm, base_url: http://127.0.0.1:8000/v1}
routes:
  gpt-4:
    choose: weighted
    targets: [{target: openai/gpt-4o, weight: 3}, near/llama]
    fallbacks: [near/small, openai/small]
    deadline: 90s
    require: [eu]
  any: [openai/x]
  talk: {targets: [openai/x, near/y], choose: latency, sticky: session}
clients: [{name: search, key: env:CLIENT_KEY}, {name: archive, key: c2}]
`,
    { env: { ...ENV, UNDERSTUDY_ADMIN_TOKEN: 'admin-1' } },
  )
  assert.equal(
    summary(config),
    `
clients    [::]:80  (clients: search, archive)
operators  127.0.0.1:9090  (with a token)

ROUTE  CHOSEN BY                   TARGETS                         FALLBACKS     DEADLINE  REQUIRES
gpt-4  weighted                    openai/gpt-4o  weight 3 (75 %)  near/small    90s       eu
                                   near/llama  weight 1 (25 %)     openai/small
any    order                       openai/x                        –             2m        –
talk   latency, sticky by session  openai/x                        –             2m        –
                                   near/y

PROVIDER  TYPE    KEYS              ADDRESS                   TAGS
openai    openai  2: key-1, team-b  built in                  us, eu
near      vllm    none              http://127.0.0.1:8000/v1  –
`.trim(),
  )
})

test('a summary says who is asked for what', async () => {
  const text = PROVIDERS + ROUTES
  const head = async (yaml: string) =>
    summary(await accepted(yaml))
      .split('\n')
      .slice(0, 2)
  const operators = 'operators  127.0.0.1:9090  (no token: /metrics, /health and /ready only)'
  assert.deepEqual(await head(text), ['clients    127.0.0.1:8080  (no client key is asked for)', operators])
  assert.deepEqual(await head(`${text}server: {open: true}\nclients: [{name: a, key: x}]\n`), [
    'clients    127.0.0.1:8080  (no client key is asked for)',
    operators,
  ])
})
