/*
 * Two instances behind a load balancer, one of which is always being restarted. A dozen seconds of it; RESTARTS=20 PER_SECOND=300 is the
 * long version.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { balancer } from '../support/balancer.ts'
import { callLoad } from '../support/call-load.ts'
import { until } from '../support/running.ts'
import { LISTEN, type Started, startedFrom } from '../support/started.ts'

const RESTARTS = Number(process.env.RESTARTS ?? 6)
const PER_SECOND = Number(process.env.PER_SECOND ?? 150)
const TEXT = 'one two three four five'

test('restarts of one of two instances behind a load balancer fail no call', async context => {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-test-'))
  const file = join(folder, 'understudy.yaml')
  await writeFile(
    file,
    `${LISTEN}
simulators: [{name: s, answer: ${TEXT}, token_delay: 20ms}]
providers: {p: {type: openai-compatible, base_url: "simulator:s/v1"}}
routes: {r: [p/m]}
`,
  )
  const instances = await Promise.all([startedFrom(folder, file), startedFrom(folder, file)])
  // The port of one that has ended may be anybody's.
  const isGone = (instance: Started) => instance.child.exitCode !== null
  const front = await balancer(() => instances.filter(one => !isGone(one)).map(({ url }) => url))
  try {
    const load = callLoad({ url: front.url, perSecond: PER_SECOND, text: TEXT })
    for (let restart = 0; restart < RESTARTS; restart++) {
      const at = restart % 2
      const begun = load.begun()
      await until('there is load', () => load.begun() > begun + PER_SECOND / 2, 10_000)
      instances[at]!.child.kill('SIGTERM')
      assert.equal(await instances[at]!.ended, 0)
      instances[at] = await startedFrom(folder, file)
    }
    const { answered, streams, asked, crossed, failed } = await load.stop()
    context.diagnostic(
      `${answered} calls, ${streams} of them streams; asked again: ${JSON.stringify(asked)}, crossed: ${crossed}`,
    )
    assert.deepEqual([failed, failed.length > 0 ? front.broken : []], [[], []])
    // Without waiting before idle connections are closed there are several at every restart.
    assert.ok(crossed <= RESTARTS, `${crossed} crossed`)
    assert.equal(answered, load.begun())
    assert.deepEqual(
      Object.keys(asked).filter(code => code !== 'draining'),
      [],
    )
  } finally {
    await front.close()
    for (const { child, ended } of instances) {
      child.kill('SIGKILL')
      await ended
    }
    await rm(folder, { recursive: true, force: true })
  }
})
