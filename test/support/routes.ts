/** Small configurations for tests: a primary that misbehaves and a backup that does not. */
import type { SPOKEN } from '../../src/config/simulation.ts'

type Spoken = (typeof SPOKEN)[number]

export interface PairOptions {
  /** The script of the primary: rules as they stand in YAML. */
  readonly script?: readonly object[]
  readonly speaks?: Spoken
  readonly backupSpeaks?: Spoken
  /** Keys of the provider `primary`; one is enough for most. */
  readonly keys?: readonly (string | object)[]
  /** Further settings of the provider `primary`. */
  readonly primary?: object
  /** Further settings of the route `pair`. */
  readonly route?: object
  /** Further top-level sections. */
  readonly more?: object
  readonly answer?: string
}

/** Times short enough for a test, long enough for a busy machine. */
export const FAST = { connect: '500ms', first_token: '300ms', idle: '250ms', total: '5s' } as const
const PATIENT = { connect: '10s', first_token: '20s', idle: '20s' }
const NO_RETRY = { attempts: 0 }

/** A configuration with the routes `pair` (primary, then backup) and `alone` (the primary only), every attempt told in the trail. */
export function pair({ script = [], speaks = 'openai', backupSpeaks = 'openai', ...options }: PairOptions = {}): string {
  // A wire has the name of the provider that is known for it.
  const provider = (name: string, wire: Spoken, more: object) => ({
    type: wire,
    base_url: `simulator:${name}/v1`,
    timeouts: FAST,
    retry: NO_RETRY,
    ...more,
  })
  // JSON is YAML.
  return JSON.stringify({
    telemetry: { headers: 'full' },
    simulators: [
      { name: 'primary', speaks, script, ...(options.answer !== undefined && { answer: options.answer }) },
      { name: 'backup', speaks: backupSpeaks, ...(options.answer !== undefined && { answer: options.answer }) },
    ],
    providers: {
      primary: provider('primary', speaks, { keys: options.keys ?? ['key-of-primary'], ...options.primary }),
      // What is well must not fail because the machine is busy.
      backup: provider('backup', backupSpeaks, { keys: ['key-of-backup'], timeouts: PATIENT }),
    },
    routes: {
      pair: { targets: ['primary/model-a'], fallbacks: ['backup/model-b'], ...options.route },
      alone: { targets: ['primary/model-a'], ...options.route },
    },
    ...options.more,
  })
}
