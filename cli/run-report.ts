// What `mate run` shows: progress while it waits, then the verdict and the cases that did not pass.

import { isEnded } from './follow-run.ts'
import type { Result, Run } from './junit.ts'
import { plain } from './plain.ts'

export interface Progress {
  show(run: Run): void
  note(text: string): void
  /** Before anything else is written to the same terminal. */
  clear(): void
}

const eraseLine = '\r\u001b[K'

/** On a terminal one line that changes; else a line whenever there is something new, for a log. */
export function createProgress(output: NodeJS.WriteStream): Progress {
  const isTerminal = output.isTTY === true
  let last = ''
  const clear = () => {
    if (isTerminal && last !== '') output.write(eraseLine)
    last = ''
  }
  return {
    show: (run) => {
      const line = progressLine(run)
      if (line === last) return
      output.write(isTerminal ? `${eraseLine}${line}` : `${line}\n`)
      last = line
    },
    note: (text) => {
      clear()
      output.write(`${text}\n`)
    },
    clear,
  }
}

function progressLine({ status, counts }: Run): string {
  const { total, passed, failed, skipped, errors } = counts
  const done = passed + failed + skipped + errors
  const parts = [`${passed} passed`, `${failed} failed`, ...(skipped ? [`${skipped} skipped`] : [])]
  return `${status}: ${done} of ${total} cases, ${[...parts, ...(errors ? [`${errors} errors`] : [])].join(', ')}`
}

const labels = { fail: 'failed ', error: 'error  ', skipped: 'skipped' } as const

/** The cases that did not pass, each with its reason, and the verdict. */
export function summaryOf(run: Run, results: Result[], url: string): string {
  const lines = results.flatMap(({ verdict, name, rationale }) => {
    if (verdict === 'pass') return []
    const label = verdict === null ? 'not run' : labels[verdict]
    const reason = rationale ? `: ${plain(rationale)}` : ''
    return [`  ${label} ${plain(name)}${reason}`]
  })
  return [...lines, verdictOf(run), `See ${url}`].join('\n')
}

function verdictOf(run: Run): string {
  const { counts, passRate, passThreshold, latency } = run
  if (!isEnded(run)) return `The run is still ${run.status}.`
  if (run.status !== 'completed')
    return `The run ${wordsOf(run.status)}${run.errorMessage ? `: ${plain(run.errorMessage)}` : '.'}`
  if (passRate === null) return `NOT PASSED: none of ${counts.total} cases was judged.`
  const judged = counts.total - counts.skipped
  const median = latency.medianMs === null ? '' : `; median latency ${Math.round(latency.medianMs)} ms`
  const rates = `${counts.passed} of ${judged} cases (${percent(passRate)}), needed ${percent(passThreshold)}${median}`
  return `${run.isPassed ? 'PASSED' : 'NOT PASSED'}: ${rates}.`
}

const wordsOf = (status: Run['status']) => (status === 'cancelled' ? 'was cancelled' : status)

/** Rounded down: 99.96 % is not 100 %. */
const percent = (rate: number) => `${Math.floor(rate * 1_000 + 1e-9) / 10} %`
