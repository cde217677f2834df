// What the job queue's library asks the database through: text and parameters, on either driver.
import type { PGlite } from '@electric-sql/pglite'
import { parsePgArray } from 'drizzle-orm/pg-core'
import type postgres from 'postgres'
import type { QueueConnection } from './client.ts'

type Rows = Record<string, unknown>[]

/** The library hands over JSON as text; postgres.js would quote it once more. */
const json = {
  to: 114,
  from: [114, 3802],
  serialize: (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value)),
  parse: (text: string) => JSON.parse(text),
}
const jsonb = { ...json, to: 3802 }
/** Which jobs a heartbeat still found: as text they would all seem to be lost. What is sent is text already, see below. */
const uuidArray = { to: 2951, from: [2951], serialize: (text: string) => text, parse: parsePgArray }
const types = { json, jsonb, uuidArray }

export function openPostgresQueue(
  connect: (options: postgres.Options<Record<string, postgres.PostgresType>>) => postgres.Sql,
): QueueConnection & { close(): Promise<void> } {
  const client = connect({ max: 1, types })
  // Not `reserve` of one client: without fetch_types postgres.js 3.4.9 never gives a new connection out.
  const alone = connect({ max: 1, types })
  let last: Promise<unknown> = Promise.resolve()
  /** Several statements may open a transaction of their own: one that fails must not be left to whoever comes next. */
  const runAlone = async (text: string) => {
    try {
      return { rows: flat(await alone.unsafe(text)) }
    } catch (error) {
      await alone.unsafe('rollback').catch(() => {})
      throw error
    }
  }
  return {
    async executeSql(text, values) {
      if (values && values.length > 0) return { rows: await client.unsafe<Rows>(text, values.map(asParameter) as never[]) }
      const running = last.then(() => runAlone(text))
      last = running.catch(() => {})
      return running
    },
    close: async () => {
      await Promise.all([client.end({ timeout: 5 }), alone.end({ timeout: 5 })])
    },
  }
}

/** Without fetch_types postgres.js knows no array types: an array goes as PostgreSQL writes it. */
function asParameter(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  const quoted = value.map((each) => (each === null ? 'NULL' : `"${String(each).replace(/["\\]/g, '\\$&')}"`))
  return `{${quoted.join(',')}}`
}

/** Of several statements postgres.js answers a list of results. */
function flat(result: Rows | Rows[]): Rows {
  return result.length > 0 && result.every((each) => Array.isArray(each)) ? (result as Rows[]).flat() : (result as Rows)
}

export function pgliteQueue(client: PGlite): QueueConnection {
  return {
    async executeSql(text, values) {
      if (values && values.length > 0) return client.query<Rows[number]>(text, values)
      try {
        return { rows: (await client.exec(text)).flatMap(({ rows }) => rows as Rows) }
      } catch (error) {
        await client.query('rollback').catch(() => {})
        throw error
      }
    },
  }
}
