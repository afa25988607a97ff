/*
 * Names of tools. OpenAI's may have dashes and begin with a digit, Cohere's may not. The answer's names have to become the client's again
 * without anything being remembered, so what is not legal is written as its code between marks, as XML names have it: `get-tide` is
 * `get_x002d_tide`. A name that holds such a mark already has its own mark written that way.
 */

const ILLEGAL = /[^A-Za-z0-9_]|^\d|_(?=x[0-9a-f]{4}_)/g
const WRITTEN = /_x([0-9a-f]{4})_/g

/** The name as Cohere takes it. */
export function legalName(name: string): string {
  return name.replace(ILLEGAL, letter => `_x${letter.charCodeAt(0).toString(16).padStart(4, '0')}_`)
}

/** The name as its owner wrote it. */
export function ownName(name: string): string {
  return name.replace(WRITTEN, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
}
