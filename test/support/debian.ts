/*
 * Programs that tests drive and that npm does not bring: looked for on the path, and where they are missing installed with apt-get, as
 * root on Debian. Where they cannot be had, what needs them is skipped and says why, and with CI=true it fails.
 */
import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { mkdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const execute = promisify(execFile)

const INSTALL_MS = 300_000

export const onPath = (name: string): boolean =>
  (process.env.PATH ?? '').split(delimiter).some(folder => isProgram(join(folder, name)))

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Whether all of these programs are there, if need be after the Debian package that holds them has been installed. */
export async function had(programs: readonly string[], debianPackage: string): Promise<boolean> {
  const areThere = () => programs.every(onPath)
  if (!areThere() && process.getuid?.() === 0 && existsSync('/etc/debian_version')) await install(debianPackage, areThere)
  return areThere()
}

const yes = () => true
const no = () => false

/** Test files run beside each other: one installs, the others wait for it. */
async function install(debianPackage: string, isThere: () => boolean): Promise<void> {
  const lock = join(tmpdir(), `understudy-installs-${debianPackage}`)
  const endsAt = Date.now() + INSTALL_MS
  while (!(await mkdir(lock).then(yes, no))) {
    // Who made it may have been killed.
    const madeAt = await stat(lock).then(
      ({ mtimeMs }) => mtimeMs,
      () => Date.now(),
    )
    if (Date.now() - madeAt > INSTALL_MS) await rm(lock, { recursive: true, force: true })
    if (Date.now() > endsAt) return
    await sleep(100)
  }
  try {
    if (isThere()) return
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
    const apt = (...args: string[]) =>
      execute('apt-get', ['-y', '-o', 'DPkg::Lock::Timeout=120', ...args], { env, timeout: INSTALL_MS })
    const once = () => apt('install', '--no-install-recommends', debianPackage)
    await once()
      .catch(() => apt('update').then(once))
      .catch(() => undefined)
  } finally {
    await rm(lock, { recursive: true, force: true })
  }
}
