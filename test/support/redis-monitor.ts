/** What a Redis is asked, by whomever: its MONITOR, read from a connection that nothing else uses. */
import { connect } from 'node:net'
import { createInterface } from 'node:readline'

/** As in `+1795793227.493089 [0 127.0.0.1:57628] "evalsha" "8f…"`; what a script does comes from `lua`. */
const LINE = /^\+[\d.]+ \[\d+ (\S+)\] (.*)$/
const QUOTED = /"((?:[^"\\]|\\.)*)"/g

/**
 * Resolves when every later command will be seen. Names of commands are in lower case.
 * @returns what ends it
 */
export async function monitored(
  port: number,
  seen: (source: string, command: readonly [name: string, ...args: string[]]) => void,
): Promise<() => void> {
  const socket = connect(port, '127.0.0.1')
  const begun = new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    createInterface({ input: socket }).on('line', line => {
      if (line === '+OK') return resolve()
      const [, source, rest] = LINE.exec(line) ?? []
      const [name, ...args] = [...(rest ?? '').matchAll(QUOTED)].map(([, text]) => text!)
      if (name !== undefined) seen(source!, [name.toLowerCase(), ...args])
    })
  })
  socket.write('MONITOR\r\n')
  await begun
  return () => socket.destroy()
}
