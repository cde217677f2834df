// What the results of a run say together.
import { scaleLinear } from 'd3-scale'
import type { Result } from './api-types.ts'

type Judged = Pick<Result, 'verdict' | 'tags' | 'latencyMs'>

export interface TagRate {
  tag: string
  passed: number
  /** Passed, failed or in error: as in a run's pass rate, what was skipped does not count. */
  counted: number
}

/** The worst first. */
export function ratesByTag(results: Judged[]): TagRate[] {
  const rates = new Map<string, TagRate>()
  for (const { tags, verdict } of results) {
    if (!verdict || verdict === 'skipped') continue
    for (const tag of tags) {
      const rate = rates.get(tag) ?? { tag, passed: 0, counted: 0 }
      rate.counted += 1
      if (verdict === 'pass') rate.passed += 1
      rates.set(tag, rate)
    }
  }
  const share = ({ passed, counted }: TagRate) => passed / counted
  return [...rates.values()].sort((a, b) => share(a) - share(b) || a.tag.localeCompare(b.tag))
}

export interface LatencyBin {
  fromMs: number
  toMs: number
  count: number
}

/** How many cases took how long, in about twelve steps of round numbers; none when nothing was measured. */
export function latencyBins(results: Judged[]): LatencyBin[] {
  const latencies = results.flatMap(({ latencyMs }) => latencyMs ?? [])
  if (latencies.length === 0) return []
  const scale = scaleLinear([0, Math.max(...latencies, 1)], [0, 1]).nice(12)
  const ticks = scale.ticks(12)
  const bins = ticks.slice(1).map((toMs, i) => ({ fromMs: ticks[i] ?? 0, toMs, count: 0 }))
  for (const latency of latencies) {
    const bin = bins.find(({ toMs }) => latency < toMs) ?? bins.at(-1)
    if (bin) bin.count += 1
  }
  return bins
}
