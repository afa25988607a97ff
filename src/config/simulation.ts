/*
 * What a simulator is told: how it speaks and what goes wrong, when. A script is a list of rules; for each call the first rule whose
 * conditions all hold is carried out, and a call that no rule fits is answered well.
 */
import { z } from 'zod'
import { duration, share } from './units.ts'

const count = z.int().min(0)

/** The APIs that a simulator speaks. */
export const SPOKEN = ['openai', 'anthropic', 'gemini'] as const

export const scriptRule = z
  .strictObject({
    // When. All that are given must hold.
    share: share.optional().describe('the share of calls this happens to, at random'),
    every: z.int().min(1).optional().describe('each nth call: 2 is every second one'),
    calls: z
      .tuple([z.int().min(1), z.int().min(1)])
      .optional()
      .describe('from the first to the last of these calls, counted from 1'),
    from: duration.optional().describe('not before this time after the start'),
    for: duration.optional().describe('with from: for so long'),
    model: z.string().optional().describe('only for calls to this model'),
    stream: z.boolean().optional().describe('only for streams, or only for whole answers'),
    // What. Any number of these; the first of a line that ends the call ends it.
    status: z.int().min(100).max(599).optional().describe('answers with this status'),
    headers: z.record(z.string(), z.string()).optional().describe('with status: these headers'),
    body: z.unknown().optional().describe('with status: this body, text or JSON; the error shape of the API when left out'),
    refuse: z.literal(true).optional().describe('ends the connection as soon as it is opened, as if nothing listened'),
    down: z.literal(true).optional().describe('with from and for: nothing listens at all'),
    reset: z.literal(true).optional().describe('reads the call, then resets the connection before any byte of an answer'),
    never_answer: z.literal(true).optional().describe('reads the call and says nothing, for ever'),
    slow_first_token: duration
      .optional()
      .describe('waits so long before the first content; the head of a stream goes out at once'),
    slow_tokens: duration.optional().describe('waits so long between two tokens'),
    stall_after: count.optional().describe('says nothing more after so many tokens, and leaves the connection open'),
    cut_after: count.optional().describe('ends after so many tokens without a finish'),
    cut_how: z
      .enum(['reset', 'clean', 'half-chunk'])
      .optional()
      .describe('how a cut ends: TCP reset (default), a clean end of the body, or in the middle of an event'),
    stall_at_byte: count.optional().describe('says nothing more after so many bytes of the body, and leaves the connection open'),
    cut_at_byte: count.optional().describe('ends after so many bytes of the body, as cut_how says'),
    garbled_at: count.optional().describe('the event at this place is not JSON'),
    no_done: z.literal(true).optional().describe('the terminator of the stream is missing, after a proper finish'),
    finish_twice: z.literal(true).optional().describe('in a stream, the reason to finish comes twice'),
    usage_early: z.literal(true).optional().describe('in a stream, usage comes before the content'),
    error_after_finish: z
      .literal(true)
      .optional()
      .describe('in a stream, an error comes after the finish, in place of the terminator'),
    data_after_done: z.literal(true).optional().describe('in a stream, more content comes after the end'),
    empty_choices: z.literal(true).optional().describe('a 200 whose answer holds nothing'),
    error_in_200: z
      .union([
        z.literal(true),
        z.strictObject({ type: z.string().optional(), message: z.string().optional(), after: count.optional() }),
      ])
      .optional()
      .describe('a 200 that holds an error, in a stream after so many tokens (default 0)'),
    html: z.literal(true).optional().describe('a 200 with an HTML page'),
    huge: z.int().min(1).optional().describe('an answer of about so many bytes'),
  })
  .describe('a rule of a simulator: when, and what goes wrong then')

export type ScriptRule = z.output<typeof scriptRule>

export const script = z.array(scriptRule)

export const simulator = z.strictObject({
  name: z.string().regex(/^[\w.-]+$/, 'use letters, digits, ".", "_" and "-"'),
  speaks: z
    .enum(SPOKEN)
    .default('openai')
    .describe(`the API that it speaks: ${SPOKEN.join(', ')}`),
  listen: z.string().default('127.0.0.1:0').describe('host:port; port 0 takes a free one'),
  answer: z.string().optional().describe('what it says; a sentence with its name when left out'),
  prefill: z
    .enum(['continue', 'echo', 'refuse'])
    .default('continue')
    .describe('what it does with a call that ends with the beginning of its answer: goes on, says it again first, or refuses'),
  token_delay: duration.default(0).describe('the time between two tokens of a healthy stream'),
  script: script.default([]),
})

export type SimulatorConfig = z.output<typeof simulator>

/** A simulator that does what every simulator does unless told otherwise, but for its name. */
export const PLAIN_SIMULATOR: Omit<SimulatorConfig, 'name'> = simulator.omit({ name: true }).parse({})
