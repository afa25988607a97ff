/*
 * A schema for the answer, for models that take none: a tool of a reserved name is offered whose input is the answer, and the decoder,
 * which knows it by that name, turns its input back into text. "Some JSON" without a schema is asked for in words.
 */

/** A tool whose input is the answer. No client's tool may have this name. */
export const ANSWER_TOOL = 'json_answer__understudy'

export const ANSWER_TOOL_DESCRIPTION = 'Gives the answer to the user. Its input is the whole answer.'

export const SOME_JSON =
  'Answer with one JSON object and nothing else: no words before or after it, and no Markdown code fence around it.'
