/* Prompts and answers in the log: only where the configuration says so, and never much of them. */
import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { pair } from '../support/routes.ts'
import { type Running, readStream, running, until } from '../support/running.ts'

const PROMPT = 'what is the meaning of it'
const ANSWER = 'Nobody knows for certain.'

describe('prompts and answers in the log', () => {
  let gateway: Running
  afterEach(() => gateway.close())

  const start = async (bodies: string | undefined, script: readonly object[] = []) => {
    const telemetry = { log: bodies === undefined ? {} : { bodies } }
    gateway = await running(pair({ script, answer: ANSWER, more: { telemetry } }))
  }
  const lineOf = async (body: object = {}) => {
    const known = gateway.logs().filter(({ msg }) => msg === 'call').length
    const response = await gateway.call({ model: 'alone', messages: [{ role: 'user', content: PROMPT }], ...body })
    await response.text()
    await until('the line is written', () => gateway.logs().filter(({ msg }) => msg === 'call').length > known)
    return gateway.logs().findLast(({ msg }) => msg === 'call')!
  }

  it('there are none unless asked for', async () => {
    for (const bodies of [undefined, 'never']) {
      await start(bodies, [{ every: 2, status: 400, body: { error: { message: `no: ${PROMPT}` } } }])
      for (let n = 0; n < 10; n++) await lineOf()
      const text = JSON.stringify(gateway.logs())
      assert.ok(!text.includes(PROMPT) && !text.includes(ANSWER))
      if (bodies === undefined) await gateway.close()
    }
  })

  it('all: of every call, whole and streamed', async () => {
    await start('all')
    for (const stream of [false, true]) {
      const { prompt, answer } = await lineOf({ stream })
      assert.deepEqual(JSON.parse(prompt).messages, [{ role: 'user', content: PROMPT }])
      assert.equal(answer, ANSWER)
    }
  })

  it('errors: of calls that were refused, with what the provider said of them', async () => {
    await start('errors', [{ status: 400, body: { error: { message: `no: ${PROMPT}` } } }])
    const refused = await lineOf()
    assert.ok(refused.prompt.includes(PROMPT))
    assert.equal(refused.answer, undefined)
    assert.match(refused.detail, /no: what is/)
  })

  it('errors: not of those that went well', async () => {
    await start('errors')
    const { prompt, answer } = await lineOf()
    assert.deepEqual([prompt, answer], [undefined, undefined])
  })

  it('errors: what had been said when a stream broke off', async () => {
    await start('errors', [{ cut_after: 2, cut_how: 'reset' }])
    const response = await gateway.call({ model: 'alone', stream: true, messages: [{ role: 'user', content: PROMPT }] })
    const { text } = await readStream(response)
    await until('the line is written', () => gateway.logs().some(({ msg }) => msg === 'call'))
    const line = gateway.logs().find(({ msg }) => msg === 'call')!
    assert.equal(line.ending, 'broken')
    assert.equal(line.answer, text)
    assert.ok(text.length > 0 && text.length < ANSWER.length)
  })

  it('a call that is no call at all is shown as it came', async () => {
    await start('errors')
    await (await gateway.call('{"model": ')).text()
    await until('the line is written', () => gateway.logs().some(({ msg }) => msg === 'call'))
    assert.equal(gateway.logs().find(({ msg }) => msg === 'call')!.prompt, '{"model": ')
  })

  it('of a long one, its beginning', async () => {
    await start('all')
    const { prompt } = await lineOf({ messages: [{ role: 'user', content: 'x'.repeat(100_000) }] })
    assert.ok(prompt.length < 17_000)
    assert.match(prompt, /… \(\d+ more bytes\)$/)
  })

  it('a secret where it is cut leaves no part of itself', async () => {
    await start('all')
    for (let before = 16_366; before < 16_396; before++) {
      const { prompt } = await lineOf({ messages: [{ role: 'user', content: `${'x'.repeat(before - 60)}key-of-primary` }] })
      assert.ok(!prompt.includes('key-of-p'), `${before}: ${prompt.slice(-100)}`)
    }
  })
})
