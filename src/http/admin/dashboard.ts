/*
 * The dashboard: one page without anything from elsewhere. It holds no data; it asks for the token, keeps it for the tab, and shows what
 * the admin API gives for it. A browser cannot show a token when it asks for a page: so the page itself comes with the 401 of one who has
 * not shown it. All that it shows is put in as text, never as HTML.
 */
import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { Fault } from '../../core/fault.ts'
import type { Assembled } from '../../gateway/assemble.ts'
import { checkToken } from '../token.ts'

export function addDashboard(app: FastifyInstance, current: () => Assembled): void {
  app.get('/', async (request, reply) => {
    const { token } = current().config.admin
    if (token === undefined) checkToken(undefined, undefined)
    return reply
      .code(holdsToken(request.headers.authorization, token?.reveal()) ? 200 : 401)
      .header('content-type', 'text/html; charset=utf-8')
      .header('content-security-policy', POLICY)
      .header('cache-control', 'no-store')
      .header('referrer-policy', 'no-referrer')
      .header('x-content-type-options', 'nosniff')
      .send(PAGE)
  })
}

function holdsToken(authorization: string | undefined, token: string | undefined): boolean {
  try {
    checkToken(authorization, token)
    return true
  } catch (thrown) {
    if (thrown instanceof Fault) return false
    throw thrown
  }
}

const STYLE = `
:root { color-scheme: light dark; font: 14px/1.45 system-ui, sans-serif }
body { margin: 1.5rem auto; max-width: 76rem; padding: 0 1rem }
h1 { font-size: 1.25rem } h2 { font-size: 1rem; margin-top: 1.75rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; vertical-align: top }
th { font-weight: 600; opacity: .7 }
.good { color: #1a7f37 } .warn { color: #b35900 } .bad { color: #cf222e } .faint { opacity: .6 }
`

const SCRIPT = `
'use strict'
const KEEP = 'understudy-token'
const at = id => document.getElementById(id)
const GOOD = new Set(['ok', 'closed', 'ready', 'normal', 'yes', 'complete', 'applied'])
const BAD = new Set(['down', 'open', 'retired', 'refused', 'broken'])
const shade = word => GOOD.has(word) ? 'good' : BAD.has(word) ? 'bad' : 'warn'
function cell(value) {
  const td = document.createElement('td')
  const isState = typeof value === 'object' && value !== null
  td.textContent = isState ? value.state : value ?? '–'
  if (isState) td.className = shade(value.state)
  return td
}
function table(id, head, rows) {
  const element = document.createElement('table')
  const top = element.createTHead().insertRow()
  for (const text of head) {
    const th = document.createElement('th')
    th.textContent = text
    top.append(th)
  }
  const body = element.createTBody()
  for (const row of rows) body.insertRow().append(...row.map(cell))
  if (rows.length === 0) body.insertRow().append(cell('none'))
  at(id).replaceChildren(element)
}
const state = word => ({ state: word })
const time = text => text === undefined ? undefined : new Date(text).toLocaleTimeString()
async function ask(path) {
  const response = await fetch(path, { headers: { authorization: 'Bearer ' + sessionStorage.getItem(KEEP) }, cache: 'no-store' })
  if (response.status === 401) throw new Error('token')
  if (!response.ok) throw new Error(path + ': ' + response.status)
  return response.json()
}
async function show() {
  const [health, targets, keys, moved, config] = await Promise.all(
    ['/admin/health', '/admin/targets', '/admin/keys', '/admin/requests?failed-over=true', '/admin/config'].map(ask))
  table('routes', ['route', 'status', 'level', 'targets'], health.routes.map(one => [one.route, state(one.status), state(one.level),
    one.targets.map(each => each.target + (each.usable ? '' : ' (' + each.passed_over + ')')).join(', ')]))
  table('targets', ['target', 'circuit', 'until', 'keys usable', 'in flight', 'first token (stream), ms', 'tokens/s'], targets.targets.map(one =>
    [one.target, state(one.circuit.state), time(one.circuit.until), one.keys.usable + ' of ' + one.keys.all, one.in_flight,
      one.first_token_ms.stream.median ?? one.first_token_ms.stream.recent, one.tokens_per_second]))
  table('keys', ['provider', 'key', 'state', 'until', 'in flight'], keys.keys.map(one =>
    [one.provider, one.name, state(one.state), time(one.until), one.in_flight]))
  table('moved', ['at', 'route', 'status', 'ending', 'attempts'], moved.requests.slice(0, 50).map(one => [time(one.at), one.route, one.status,
    state(one.ending), one.attempts.map(each => each.target + ' ' + each.outcome + ' ' + each.ms + ' ms').join(' → ')]))
  const last = config.last_reload
  const told = last === null ? 'not changed since the start' : last.result + ' ' + time(last.at) + ' (' + last.why + ')'
  at('config').textContent = [told, ...(last?.problems ?? []).map(one => one.text), ...config.needs_restart.map(one => one + ' needs a restart')].join('\\n')
  at('told').textContent = 'as of ' + new Date().toLocaleTimeString()
}
async function turn() {
  try {
    if (sessionStorage.getItem(KEEP) === null) sessionStorage.setItem(KEEP, prompt('admin.token') ?? '')
    await show()
  } catch (error) {
    if (error.message === 'token') {
      sessionStorage.removeItem(KEEP)
      clearInterval(timer)
      at('told').textContent = 'This is not the token. Reload the page to try again.'
      return
    }
    at('told').textContent = 'no answer: ' + error.message
  }
}
const timer = setInterval(turn, 5000)
turn()
`

const PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>understudy</title><style>${STYLE}</style></head>
<body>
<h1>understudy</h1><p class="faint" id="told">…</p>
<h2>Routes</h2><div id="routes"></div>
<h2>Targets</h2><div id="targets"></div>
<h2>Keys</h2><div id="keys"></div>
<h2>Last failovers</h2><div id="moved"></div>
<h2>Configuration</h2><pre id="config"></pre>
<script>${SCRIPT}</script>
</body>
</html>
`

const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** Only what stands in this page runs, and it may only ask this listener. */
const POLICY = [
  "default-src 'none'",
  `script-src ${hashOf(SCRIPT)}`,
  `style-src ${hashOf(STYLE)}`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')
