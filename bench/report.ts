// What was measured, as Markdown: printed as it comes, and kept for bench/RESULTS.md.
import { middle, type Rounds, ratio } from './measure.ts'

interface Verdict {
  target: string
  measured: string
  isMet: boolean
}

export class Report {
  readonly #lines: string[] = []
  readonly #verdicts: Verdict[] = []

  say(...lines: string[]): void {
    for (const line of lines) process.stdout.write(`${line}\n`)
    this.#lines.push(...lines)
  }

  heading(title: string, ...notes: string[]): void {
    this.say('', `## ${title}`, '', ...notes, ...(notes.length > 0 ? [''] : []))
  }

  table(columns: string[], rows: (string | number)[][]): void {
    this.say(
      `| ${columns.join(' | ')} |`,
      `|---|${columns
        .slice(1)
        .map(() => '---:|')
        .join('')}`,
    )
    for (const row of rows) this.say(`| ${row.join(' | ')} |`)
  }

  /** Requests a second and latencies, and each row's ratio to each floor. */
  loads(seen: Rounds, floors: string[]): void {
    const rowOf = (name: string) => [
      name,
      middle(seen, name).toFixed(0),
      middle(seen, name, 'p50Ms').toFixed(1),
      middle(seen, name, 'p99Ms').toFixed(1),
      middle(seen, name, 'cpuMicros').toFixed(0),
      ...floors.map((floor) => ratio(seen, name, floor).toFixed(2)),
    ]
    this.table(
      ['subject', 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs', ...floors.map((floor) => `÷ ${floor}`)],
      [...seen.keys()].map(rowOf),
    )
  }

  verdict(target: string, measured: string, isMet: boolean): void {
    this.#verdicts.push({ target, measured, isMet })
  }

  /** The targets that were measured since the last call. */
  verdicts(): void {
    const rows = this.#verdicts
      .splice(0)
      .map(({ target, measured, isMet }) => [
        target.replace(/^\d/, (digit) => numerals[Number(digit)] ?? digit),
        measured,
        isMet ? 'met' : '**not met**',
      ])
    if (rows.length === 0) return
    this.say('')
    this.table(['target', 'measured', ''], rows)
  }

  get text(): string {
    return `${this.#lines.join('\n')}\n`
  }
}

const numerals = ['', '(i)', '(ii)', '(iii)', '(iv)', '(v)', '(vi)', '(vii)']
