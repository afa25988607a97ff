/*
 * The one place where secrets are kept from coming out. Whoever writes text that others read (log lines, error bodies, traces) has it go
 * through here: every secret that the configuration holds is replaced wherever it stands, as it is or as JSON and URLs write it.
 *
 * Looking for each secret by itself would cost the more the more clients there are, at every line. So all are looked for in one pass that
 * reads only each fourth place: whatever is eight characters or longer covers four characters that begin at such a place, and these four
 * begin at one of the first four characters of the secret. Only where they are those of a secret is the rest compared.
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
const SHOWN = '[secret]'

interface Start {
  readonly form: string
  /** Where in it the four characters are. */
  readonly offset: number
}

export function redaction(secrets: Iterable<string> = []): Redaction {
  /** The longest first, so that a secret within another does not leave the rest of it behind. */
  let forms: readonly string[] = []
  /** By the hash of four characters: whether any secret has them. */
  const marks = new Uint8Array(65_536)
  const starts = new Map<number, Start[]>()

  function learn(more: Iterable<string>): void {
    const known = new Set(forms)
    for (const form of [...more].flatMap(formsOf)) {
      if (form.length < SHORTEST_SECRET || known.has(form)) continue
      known.add(form)
      for (let offset = 0; offset < WINDOW; offset++) {
        const hash = hashAt(form, offset)
        marks[hash] = 1
        starts.set(hash, [...(starts.get(hash) ?? []), { form, offset }])
      }
    }
    forms = [...known].sort((a, b) => b.length - a.length)
  }

  function holdsOne(text: string): boolean {
    for (let at = 0; at + WINDOW <= text.length; at += WINDOW) {
      const hash = hashAt(text, at)
      if (marks[hash] === 1 && starts.get(hash)!.some(({ form, offset }) => text.startsWith(form, at - offset))) return true
    }
    return false
  }

  learn(secrets)
  return {
    redact: text => (holdsOne(text) ? forms.reduce((left, form) => left.replaceAll(form, SHOWN), text) : text),
    learn,
  }
}

/** As it is, as a JSON string has it, and as a URL has it. */
const formsOf = (secret: string) => [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)]

function hashAt(text: string, at: number): number {
  let hash = 0
  for (let next = at; next < at + WINDOW; next++) hash = (hash * 31 + text.charCodeAt(next)) & 0xffff
  return hash
}
