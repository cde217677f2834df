// Loads several subjects in turn, so that a slow minute of the machine falls on all, and reads medians and ratios.
import { load, type Measured, type Request } from './load.ts'
import type { Subject } from './subjects.ts'

export const loadCore = 1

export interface Row {
  name: string
  subject: Subject
  request: Request
  expectRefusals?: boolean
  /** Runs before each round: what the round before left. */
  reset?: () => Promise<unknown>
}

export interface Pace {
  rounds: number
  seconds: number
  connections?: number
}

/** What one round saw of one row; of the server, CPU for one request. */
type Seen = Measured & { cpuMicros: number }

/** What each row was measured at, round by round. */
export type Rounds = Map<string, Seen[]>

export const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** Each row once a round, in turn, after three seconds of warming up. */
export async function measure(rows: Row[], { rounds, seconds, connections = 32 }: Pace): Promise<Rounds> {
  const seen: Rounds = new Map(rows.map(({ name }) => [name, []]))
  const once = ({ subject, request }: Row, length: number) =>
    load(subject.url, request, { seconds: length, connections, core: loadCore })
  for (const row of rows) await once(row, 3)
  for (let round = 0; round < rounds; round++) {
    for (const row of rows) {
      await row.reset?.()
      const before = row.subject.cpuSeconds()
      const measured = await once(row, seconds)
      const cpuMicros = ((row.subject.cpuSeconds() - before) / (measured.perSecond * seconds)) * 1e6
      if (measured.failed > 0 || measured.refused > 0 !== (row.expectRefusals ?? false))
        throw new Error(`${row.name} was answered otherwise than expected: ${JSON.stringify(measured)}`)
      seen.get(row.name)?.push({ ...measured, cpuMicros })
    }
  }
  return seen
}

export function middle(seen: Rounds, name: string, what: 'perSecond' | 'p50Ms' | 'p99Ms' | 'cpuMicros' = 'perSecond'): number {
  return median((seen.get(name) ?? []).map((one) => one[what]))
}

/** The median of the ratios of each round: two rows of one round were measured within seconds. */
export function ratio(seen: Rounds, name: string, floor: string): number {
  const floors = seen.get(floor) ?? []
  return median((seen.get(name) ?? []).map(({ perSecond }, round) => perSecond / (floors[round]?.perSecond ?? Number.NaN)))
}
