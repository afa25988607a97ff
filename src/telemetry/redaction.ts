/*
 * The one place where secrets are kept from coming out. Whoever writes text that others read (log lines, error bodies, traces) has it go
 * through here: every secret that the configuration holds is replaced wherever it stands, as it is or as JSON and URLs write it.
 *
 * Looking for each secret by itself would cost the more the more clients there are, at every line. So all are looked for in one pass that
 * reads only four characters at each so many places: as far apart as the shortest secret allows, so that whatever is a secret covers four
 * that are read, and these begin at one of the first characters of the secret. Only where they are those of a secret is the rest compared.
 */

export interface Redaction {
  /** The text, with `[secret]` in the place of every secret. */
  redact(text: string): string
  /** These are secrets, too, from now on. */
  learn(secrets: Iterable<string>): void
}

/** Shorter ones are words that stand for credentials kept elsewhere; taking them out of a text would take words out of it. */
const SHORTEST_SECRET = 8

const WINDOW = 4
/** Reading at fewer places is worth little, and each place that is not read is one more of each secret to know. */
const FARTHEST = 32
const HASHES = 65_536
/** With more of them marked, what is no secret would be compared too often. */
const MOST_MARKS = HASHES / 8
const SHOWN = '[secret]'

interface Start {
  readonly form: string
  /** Where in it the four characters are. */
  readonly offset: number
}

export function redaction(secrets: Iterable<string> = []): Redaction {
  /** The longest first, so that a secret within another does not leave the rest of it behind. */
  let forms: readonly string[] = []
  /** So many places lie between two that are read. */
  let stride = FARTHEST
  /** By the hash of four characters: whether any secret has them. */
  const marks = new Uint8Array(HASHES)
  const starts = new Map<number, Start[]>()

  function learn(more: Iterable<string>): void {
    const all = new Set([...forms, ...[...more].flatMap(formsOf).filter(form => form.length >= SHORTEST_SECRET)])
    if (all.size === forms.length) return
    forms = [...all].sort((a, b) => b.length - a.length)
    const [shortest, fewest] = [forms.at(-1)!.length - WINDOW + 1, SHORTEST_SECRET - WINDOW + 1]
    stride = Math.max(fewest, Math.min(shortest, FARTHEST, Math.floor(MOST_MARKS / forms.length)))
    marks.fill(0)
    starts.clear()
    for (const form of forms) {
      for (let offset = 0; offset < stride; offset++) {
        const hash = hashAt(form, offset)
        marks[hash] = 1
        starts.set(hash, [...(starts.get(hash) ?? []), { form, offset }])
      }
    }
  }

  function holdsOne(text: string): boolean {
    for (let at = 0; at + WINDOW <= text.length; at += stride) {
      const hash = hashAt(text, at)
      if (marks[hash] === 1 && isOneAt(text, at, starts.get(hash)!)) return true
    }
    return false
  }

  learn(secrets)
  return {
    redact: text => (holdsOne(text) ? forms.reduce((left, form) => left.replaceAll(form, SHOWN), text) : text),
    learn,
  }
}

function isOneAt(text: string, at: number, starts: readonly Start[]): boolean {
  for (const { form, offset } of starts) if (text.startsWith(form, at - offset)) return true
  return false
}

/** As it is, as a JSON string has it, and as a URL has it. */
const formsOf = (secret: string) => [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)]

function hashAt(text: string, at: number): number {
  let hash = 0
  for (let next = at; next < at + WINDOW; next++) hash = (hash * 31 + text.charCodeAt(next)) & 0xffff
  return hash
}
