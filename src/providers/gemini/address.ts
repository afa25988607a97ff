/** A model's name as a part of a path. Callers may have brought it. */

/** Every segment escaped, save the signs that are plain in Google's names. */
export function pathOf(model: string): string {
  return model
    .split('/')
    .map(segment => encodeURIComponent(segment).replaceAll('%40', '@'))
    .join('/')
}

/** Whether the name leads somewhere else: an empty segment, or one that goes up. */
export function isAstray(model: string): boolean {
  return model.split('/').some(segment => segment === '' || segment === '.' || segment === '..')
}
