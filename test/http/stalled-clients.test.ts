/* Clients that stop reading: what they have not taken stays with the provider, and costs the gateway next to nothing. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { simulator as simulatorSettings } from '../../src/config/simulation.ts'
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts'
import { type GatewayProcess, gatewayProcess, type Memory } from '../support/gateway-process.ts'
import { until } from '../support/running.ts'

const MB = 1024 * 1024
/** Of each answer: a gateway that reads on would need all of it for every client. */
const ANSWER_BYTES = 200 * MB
/** What a process may need more or less at any moment, whoever its clients are. */
const NOISE_BYTES = 5 * MB
/** By how much the heap of a process that has more to do may grow: megabytes go through to each client before its socket is full, as garbage. */
const HEAP_BYTES = 200 * MB
const PATIENCE_MS = 30_000

for (const speaks of ['openai', 'anthropic'] as const) {
  describe(`clients that stop reading, in front of a provider that speaks ${speaks}`, () => {
    let simulator: Simulator
    let gateway: GatewayProcess
    const clients: Socket[] = []
    before(async () => {
      simulator = await startSimulator(simulatorSettings.parse({ name: 'giant', speaks }))
      gateway = await gatewayProcess({
        providers: {
          giant: { type: speaks, base_url: simulator.url + (speaks === 'openai' ? '/v1' : ''), keys: ['key-of-giant'] },
        },
        routes: { giant: ['giant/model'] },
      })
      // What is compiled and allocated once is not the clients'.
      simulator.script([{ huge: 10 * MB }])
      await (await ask()).text()
      simulator.script([{ huge: ANSWER_BYTES }])
    })
    after(async () => {
      for (const client of clients) client.destroy()
      await gateway.stop()
      await simulator.close()
    })

    const body = JSON.stringify({ model: 'giant', messages: [{ role: 'user', content: 'Hello' }], stream: true })
    const ask = () =>
      fetch(`http://127.0.0.1:${gateway.port}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })

    function stalledClient(): void {
      const client = connect(gateway.port, '127.0.0.1')
      client.on('error', () => {})
      client.pause()
      client.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      )
      clients.push(client)
    }

    /** Its memory when nothing moves any more: all that the clients have room for has been sent. */
    async function settled(): Promise<Memory> {
      const sent = () => simulator.calls.reduce((sum, { tokensSent }) => sum + tokensSent, 0)
      let before = -1
      await until(
        'nothing more is sent',
        async () => {
          await new Promise(resolve => setTimeout(resolve, 300))
          const now = sent()
          const isStill = now === before
          before = now
          return isStill
        },
        PATIENCE_MS,
      )
      return gateway.memory()
    }

    it('cost at most 1 MB each', async t => {
      const idle = await settled()
      const cost = async (count: number) => {
        while (clients.length < count) stalledClient()
        await until('all are answered', async () => (await gateway.metric('llm_in_flight')) === count, PATIENCE_MS)
        await until(
          '… with more than there is room for',
          () => simulator.calls.slice(-count).every(call => call.tokensSent > 100),
          PATIENCE_MS,
        )
        const { usedBytes, residentBytes } = await settled()
        const used = usedBytes - idle.usedBytes
        const resident = residentBytes - idle.residentBytes
        t.diagnostic(`${count}: ${(used / MB).toFixed(1)} MB in use, ${(resident / MB).toFixed(1)} MB resident`)
        assert.ok(used < count * MB + NOISE_BYTES)
        assert.ok(resident < count * MB + HEAP_BYTES)
      }
      await cost(1)
      await cost(50)
      assert.equal(simulator.counts.open, 50, 'nobody was sent away')
    })
  })
}
