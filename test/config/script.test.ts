// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the notation of the configuration, not of JavaScript
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { loadScript } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-script-'))
})
after(() => rm(folder, { recursive: true }))

async function load(text: string) {
  const file = join(folder, 'faults.yaml')
  await writeFile(file, text)
  const loaded = await loadScript(file)
  return loaded.ok ? loaded.script : loaded.problems.map(problem => formatProblem({ ...problem, file: 'faults.yaml' }))
}

test('a script is a list of rules', async () => {
  assert.deepEqual(await load('- {share: 10%, status: 503, body: "${NOT_TAKEN}"}\n- {from: 1m, for: 30s, down: true}\n'), {
    speaks: 'openai',
    listen: '127.0.0.1:0',
    prefill: 'continue',
    token_delay: 0,
    script: [
      { share: 0.1, status: 503, body: '${NOT_TAKEN}' },
      { from: 60_000, for: 30_000, down: true },
    ],
  })
})

test('a script is a simulator without a name', async () => {
  assert.deepEqual(await load('speaks: anthropic\nlisten: 127.0.0.1:9100\ntoken_delay: 20ms\nscript: [{cut_after: 3}]\n'), {
    speaks: 'anthropic',
    listen: '127.0.0.1:9100',
    prefill: 'continue',
    token_delay: 20,
    script: [{ cut_after: 3 }],
  })
})

test('a script may be JSON', async () => {
  const script = await load('[\n\t{"every": 2, "error_in_200": {"type": "overloaded_error"}}\n]\n')
  assert.deepEqual('script' in script && script.script, [{ every: 2, error_in_200: { type: 'overloaded_error' } }])
})

test('what is wrong in a script is reported with its place', async () => {
  assert.deepEqual(await load('- {statu: 503}\n- {status: 50, refuse: false, cut_how: rest}\n- x\n'), [
    'faults.yaml:1:4  [0].statu  unknown key (did you mean "status"?)',
    'faults.yaml:2:12  [1].status  must be 100 or more',
    'faults.yaml:2:24  [1].refuse  expected true, found false',
    'faults.yaml:2:40  [1].cut_how  expected one of reset, clean, half-chunk, found "rest" (did you mean "reset"?)',
    'faults.yaml:3:3  [2]  expected a mapping, found text',
  ])
  assert.deepEqual(await load('name: a\nscript: [{calls: [1]}]\nspeaks: opnai\n'), [
    'faults.yaml:1:1  name  unknown key',
    'faults.yaml:2:18  script[0].calls  needs 2 entries',
    'faults.yaml:3:9  speaks  expected one of openai, anthropic, gemini, found "opnai" (did you mean "openai"?)',
  ])
  assert.deepEqual(await load('hello\n'), ['faults.yaml:1:1  expected a list of rules, or a mapping that describes a simulator'])
  assert.deepEqual(await load('- {a: b: c}\n').then(lines => lines.toString().startsWith('faults.yaml:1:')), true)
})

test('a script that is not there is one problem without a line', async () => {
  const file = join(folder, 'missing.yaml')
  const loaded = await loadScript(file)
  assert.deepEqual(loaded, { ok: false, problems: [{ file, path: [], message: 'cannot read the file: there is no such file' }] })
})
