// What every section is given: the seeded database, the pace, the report, and a way to start what it measures.
import type { Sql } from 'postgres'
import type { Pace } from './measure.ts'
import type { Report } from './report.ts'
import type { Seeded } from './seed.ts'
import type { Subject } from './subjects.ts'

export interface Bench {
  /** A folder that is gone after the run. */
  folder: string
  isQuick: boolean
  url: string
  seeded: Seeded
  pace: Pace
  report: Report
  /**
   * Starts `node script …` on the server's core, on the database at `url` unless `env` names another; stops with its section.
   * @param cores others to run on, as taskset takes them.
   */
  start(script: string, args?: string[], env?: Record<string, string>, cores?: string): Promise<Subject>
}

export type Section = (bench: Bench) => Promise<void>

/** Deletes what a load made, and its dead rows: they stand first in a list of the newest, and each read would pass them. */
export async function dropMade(client: Sql, table: 'agents' | 'api_keys'): Promise<void> {
  await client`delete from ${client(table)} where name like 'made %'`
  await client`vacuum analyze ${client(table)}`
}

export const builtServer = 'build/server/index.js'

/** Another database of the same PostgreSQL. */
export function besides(url: string, name: string): string {
  const other = new URL(url)
  other.pathname = `/${name}`
  return other.href
}
