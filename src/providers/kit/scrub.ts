/*
 * What a provider says may name hosts, addresses, accounts and keys: it may have been written for the operator, whose account it is, and
 * not for whoever called us. Before such text reaches a client it passes through here. It is better to lose a harmless word than to show
 * a key, so the patterns lean that way; what they must not eat are the paths, numbers and model names that tell a client what to change.
 */

const REMOVED = '[removed]'
/** What a client gets to read at most, in characters. */
const LONGEST_MESSAGE = 1_000
/** More than this is never looked at: the patterns below run over text that strangers wrote. */
const LONGEST_INPUT = 8_000

const KEYS: readonly RegExp[] = [
  /\bBearer\s+[^\s"',;]+/gi,
  // "Incorrect API key provided: abc": whatever follows is one, however it looks.
  /(?<=\bapi[ _-]?key(?: provided| is)?\s?[:=]\s?["'`]?)[^\s"'`,;]+/gi,
  // A key that its owner has masked already still tells its beginning and end.
  /(?<![^\s"'`(])[^\s"'`(]*\*{3,}[^\s"'`)]*/g,
  // Prefixes that mark keys; a short word after one of them ("sk-learn") is none.
  /(?<![\w-])(?:sk|pk|rk|gsk|csk|xai|pplx|nvapi|tgp|fw|hf|r8|AIza|AKIA|ASIA|ya29)[-_.]?(?=[\w.-]*\d)[\w.-]{12,}/g,
  /\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]+)?/g,
  // Long runs without a separator that mix digits and letters: hashes, tokens, base64.
  /(?<![A-Za-z0-9])(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{32,}={0,2}/g,
]

const PLACES: readonly RegExp[] = [
  /\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s"'`<>)\]}]+/gi,
  // Accounts: org-…, proj_…, user_…
  /\b(?:org|proj|acct|team|user)[-_](?=[A-Za-z]*[\dA-Z])[A-Za-z0-9]{6,}\b/g,
  /(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?(?![\w.]*\d)/g,
  // Names with a dot only under endings that are hosts', or `tools.function.name` would be one.
  /(?<![\w.\]@/-])(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}(?:com|net|org|io|ai|dev|cloud|app|edu|gov|cn|eu|uk|local|internal|lan|corp|svc)(?::\d{1,5})?(?![\w-])(?:\/[^\s"'`<>)\]}]*)?/gi,
  /\blocalhost(?::\d{1,5})?\b/gi,
  // A bare name with a port: vllm-3:8000.
  /(?<![\w.:-])[a-z][a-z0-9-]*:\d{4,5}(?![\w.])/gi,
]

const COLON_GROUPS = /(?<![\w:])(?:[0-9a-f]{0,4}:){2,8}[0-9a-f]{0,4}(?:%\w+)?(?![\w:])/gi

/** The text without anything that looks like a key; for what only operators read. */
export function scrubKeys(text: string): string {
  return replaceAll(text.slice(0, LONGEST_INPUT), KEYS)
}

/** The text as a client may read it: no URLs, host names, addresses, account names or keys, and at most 1,000 characters. */
export function scrub(text: string): string {
  const clean = replaceAll(scrubKeys(text), PLACES).replace(COLON_GROUPS, found => (isAddress(found) ? REMOVED : found))
  return shorten(clean.trim(), LONGEST_MESSAGE)
}

/** At most `length` characters, the last of them an ellipsis where something was cut off. */
export function shorten(text: string, length: number): string {
  if (text.length <= length) return text
  // A cut between the halves of one character would leave half of it.
  const last = text.charCodeAt(length - 2)
  return `${text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 2 : length - 1)}…`
}

/** IPv6, and not a time of day (12:30:45). */
function isAddress(text: string): boolean {
  const groups = text.split(':').length
  return /[0-9a-f]/i.test(text) && (text.includes('::') || groups >= 6)
}

function replaceAll(text: string, patterns: readonly RegExp[]): string {
  let clean = text
  for (const pattern of patterns) clean = clean.replace(pattern, REMOVED)
  return clean
}
