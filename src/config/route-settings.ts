/** The schema of one entry of `routes`. */
import { z } from 'zod'
import { FAULTS, type FaultName, rowOf } from '../core/fault.ts'
import { count, durationOrOff, off, positive, positiveDuration, word } from './notation.ts'
import { FEATURES } from './provider-settings.ts'
import { didYouMean } from './suggest.ts'
import { share } from './units.ts'

/** A target as text, in its two parts. The model may hold further slashes; undefined when there is no provider or no model. */
export function targetParts(text: string): { readonly provider: string; readonly model: string } | undefined {
  const slash = text.indexOf('/')
  return slash < 1 || slash === text.length - 1 ? undefined : { provider: text.slice(0, slash), model: text.slice(slash + 1) }
}

const targetText = z.string().min(1).describe('provider name / that provider’s model name')

const weightedTarget = z.strictObject({
  target: targetText,
  weight: positive.default(1).describe('with choose weighted: its share of the calls'),
})

const target = z.union([targetText.transform(text => ({ target: text })).pipe(weightedTarget), weightedTarget], {
  error: 'expected a target: text such as provider/model, or a mapping with target and weight',
})

type Overridable = 'upstream-refused-call' | 'content-filtered'

/** The faults for which a route may decide otherwise, as the table of faults says. */
export const OVERRIDABLE_FAULTS = (Object.keys(FAULTS) as FaultName[]).filter(
  (name): name is FaultName & Overridable => rowOf(name).overridable === true,
)

const override = z
  .enum(['fail_over', 'return'])
  .optional()
  .describe('whether this fault moves on to the next target, or goes to the client')

const faults = z.strictObject(
  Object.fromEntries(OVERRIDABLE_FAULTS.map(name => [name, override])) as Record<Overridable, typeof override>,
  {
    error: issue => {
      if (issue.code !== 'unrecognized_keys') return undefined
      return (issue as z.core.$ZodIssueUnrecognizedKeys).keys.map(whyNotOverridable).join('\n')
    },
  },
)

function whyNotOverridable(name: string): string {
  if (!Object.hasOwn(FAULTS, name)) return `there is no such fault${didYouMean(name, OVERRIDABLE_FAULTS)}`
  return `this fault cannot be changed; only ${OVERRIDABLE_FAULTS.join(' and ')} can`
}

const reduced = {
  targets: z.array(targetText).min(1).describe('the targets of this level, in order'),
  max_tokens: count.optional().describe('caps the length of answers at this level'),
  drop: z.array(z.enum(FEATURES)).optional().describe('what is taken out of calls at this level'),
}

const degradation = z.discriminatedUnion('level', [
  z.strictObject({ level: z.literal('reduced'), ...reduced }),
  z.strictObject({ level: z.literal('minimal'), ...reduced }),
  z.strictObject({ level: z.literal('cached') }),
  z.strictObject({ level: z.literal('offline'), message: z.string().min(1).describe('what the client gets to read') }),
])

/** Names of OpenAI's API go into URLs, logs and labels: printable ASCII without spaces. */
export const routeName = z
  .string()
  .regex(/^[\x21-\x7e]{1,256}$/, {
    error: 'the name of a route has 1 to 256 printable ASCII characters, without spaces',
    abort: true,
  })
  .refine(name => name.indexOf('*') === name.lastIndexOf('*'), 'the name of a route may hold one "*" at most')

const settings = z.strictObject({
  choose: z
    .enum(['order', 'weighted', 'latency', 'cost', 'least_busy'])
    .default('order')
    .describe('who goes first among the targets; the others follow'),
  targets: z.array(target).min(1).describe('the models that answer, each as provider/model'),
  fallbacks: z.array(targetText).default([]).describe('in this order, once every target has failed or been passed over'),
  deadline: positiveDuration.prefault('2m').describe('for the whole call: all attempts, waits and retries together'),
  sticky: z
    .union([z.enum(['off', 'client', 'session']), off()])
    .prefault('off')
    .describe('the same caller gets the same first choice; session: x-understudy-session, or user in the call'),
  faults: faults.default({}).describe('overrides of the last column of the table of faults'),
  slow: z
    .strictObject({ factor: z.number().gt(1).default(3).describe('times the median of the target') })
    .optional()
    .describe('a first token later than this is a soft failure'),
  hedge: z
    .strictObject({
      after: positiveDuration.describe('how long the first target gets alone'),
      share: share.prefault('5%').describe('at most this share of the calls'),
    })
    .optional()
    .describe('starts the next target as well; first content wins'),
  recover: z
    .union([z.enum(['off', 'splice', 'prefill', 'hold']), off()])
    .prefault('splice')
    .describe('what becomes of a stream that is cut after content: off, splice, prefill or hold'),
  extra_attempts: share
    .prefault('20%')
    .describe('retries, second and later failovers and hedges: at most this share of the calls of the route, plus 10 a second'),
  heartbeat: durationOrOff.prefault('15s').describe('SSE comments while the upstream is silent, once the answer has begun'),
  require: z.array(word).default([]).describe('only targets whose provider has all these tags, fallbacks included'),
  cache: z
    .strictObject({
      ttl: positiveDuration.describe('how long an answer may be given again'),
      stale: positiveDuration.optional().describe('how long an old answer may stand in when every target is down'),
    })
    .optional()
    .describe('exact answers'),
  degrade: z.array(degradation).default([]).describe('what happens after the last fallback, in this order'),
})

const shortForm = z
  .array(target)
  .min(1)
  .transform((targets): z.input<typeof settings> => ({ targets }))
  .pipe(settings)
  .describe('short form: the targets, in order')

export const route = z.union([shortForm, settings], {
  error: 'expected a route: a list of targets, or a mapping with targets',
})
