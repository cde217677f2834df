// How much of the whole a run of the fault tests does, and where it says what it saw.
import { appendFileSync } from 'node:fs'

/** 1 with `--full`, else a hundredth. */
const scale = Number(process.env.MATE_FAULTS_SCALE ?? '0.01')

export const isFull = scale === 1

/** As many of `whole` as this run does, and at least `least`. */
export const count = (whole: number, least = 1): number => Math.max(least, Math.round(whole * scale))

/** A line of docs/faults.md: what was done, and what was seen. */
export function report(what: string, seen: string): void {
  const file = process.env.MATE_FAULTS_REPORT
  if (file) appendFileSync(file, `${JSON.stringify({ what, seen })}\n`)
}

/** The value that `share` (0 to 1) of them do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
