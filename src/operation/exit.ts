/** How a command ends that cannot do what it was asked. */
import { formatProblem, type Problem } from '../config/problem.ts'

/** Of sysexits.h: the command line is wrong; an address is taken; a mistake of ours; something is wrong in the configuration. */
export const EXIT = { usage: 64, unavailable: 69, software: 70, config: 78 } as const

export function fail(code: number, text: string): never {
  process.stderr.write(`${text}\n`)
  process.exit(code)
}

export const failWith = (problems: readonly Problem[]): never => fail(EXIT.config, problems.map(formatProblem).join('\n'))
