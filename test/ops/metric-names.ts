/** Whether PromQL speaks of metrics and labels that there are. */
import { METRICS } from '../../src/telemetry/metrics.ts'

const known: Readonly<Record<string, readonly [kind: string, help: string, labels: readonly string[]]>> = METRICS
const SUFFIX = /_(bucket|sum|count)$/

/** The metrics of ours that an expression names, as the gateway knows them. */
export function metricsIn(expr: string): readonly string[] {
  const names = [...expr.matchAll(/\bllm_\w+/g)].map(([name]) => (name in known ? name : name.replace(SUFFIX, '')))
  return [...new Set(names)]
}

/** What an expression names that there is not: metrics, and labels asked of a metric that has no such label. */
export function unknownIn(expr: string): readonly string[] {
  const metrics = metricsIn(expr).filter(name => !(name in known))
  const labels = [...expr.matchAll(/\b(llm_\w+)\{([^}]*)\}/g)].flatMap(([, name, selector]) => {
    const metric = known[name!] ?? known[name!.replace(SUFFIX, '')]
    const asked = [...selector!.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label]) => label!)
    return metric === undefined ? [] : asked.filter(label => !metric[2].includes(label)).map(label => `${name}{${label}}`)
  })
  return [...metrics, ...labels]
}
