/* Which fields say nothing: they ask for what happens anyway. */
const DEFAULTS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['temperature', 1],
  ['top_p', 1],
  ['n', 1],
  ['logprobs', false],
  ['top_logprobs', 0],
  ['presence_penalty', 0],
  ['frequency_penalty', 0],
  ['parallel_tool_calls', true],
  ['store', false],
])

/** Whether a call means the same without this field. */
export function isDefault(field: string, value: unknown): boolean {
  if (value === undefined || value === null) return true
  if (typeof value === 'object') return Object.keys(value).length === 0
  return DEFAULTS.has(field) && DEFAULTS.get(field) === value
}
