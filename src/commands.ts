import { SPOKEN } from './config/simulation.ts'

/** Every command: what it takes, what it does. The README's table is tested against this. */
export const COMMANDS = {
  serve: ['[--config FILE]', 'runs the gateway; without FILE ./understudy.yaml where there is one, else the demo'],
  check: ['--config FILE', 'says everything that is wrong with a configuration, or what it does and what about it is unwise'],
  drill: [
    '--config FILE',
    'puts simulators in the place of its providers, breaks them one after the other and two at a time, and prints what clients would have seen',
  ],
  simulator: [`--speaks ${SPOKEN.join('|')} --listen HOST:PORT [--script FILE]`, 'runs a provider that misbehaves to order'],
  keys: ['new NAME', 'makes a client key, and what to write into the configuration for it'],
  schema: ['', 'prints the JSON Schema of the configuration, for editors'],
} as const satisfies Record<string, readonly [takes: string, does: string]>
