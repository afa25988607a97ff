/** What is wrong in a configuration file, and where. */

export type Path = readonly (string | number)[]

export interface Problem {
  /** As the operator named it. */
  readonly file: string
  /** Both counted from 1; absent when the file as a whole is the problem. */
  readonly line?: number
  readonly column?: number
  /** Empty for the file as a whole, and where the text is no YAML. */
  readonly path: Path
  /** Never holds a secret. */
  readonly message: string
}

/** `understudy.yaml:LINE:COLUMN  path.to.key  what is wrong`. */
export function formatProblem(problem: Problem): string {
  const place = problem.line === undefined ? problem.file : `${problem.file}:${problem.line}:${problem.column ?? 1}`
  return [place, formatPath(problem.path), problem.message].filter(part => part !== '').join('  ')
}

/** `routes.gpt-4.targets[0]`; a key in which a dot or a bracket would mislead is quoted: `routes["gpt-4.1"]`. */
export function formatPath(path: Path): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else if (!/^[\w*/:@+-]+$/.test(step)) text += `[${JSON.stringify(step)}]`
    else text += text === '' ? step : `.${step}`
  }
  return text
}

/** In the order of the file. */
export function inOrder(problems: readonly Problem[]): readonly Problem[] {
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
}
