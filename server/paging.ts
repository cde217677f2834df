// Pages of a list: what is asked for, what is answered, and where the next one begins.
import { TRPCError } from '@trpc/server'
import { and, desc, eq, type SQL, sql } from 'drizzle-orm'
import type { PgColumn, PgTable, SelectedFields } from 'drizzle-orm/pg-core'
import type { SelectResultFields } from 'drizzle-orm/query-builders/select.types'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { Id } from './input.ts'

export const PageInput = {
  limit: z.number().int().min(1).max(200).default(50).describe('Items at most.'),
  cursor: z.string().max(1000).optional().describe('`nextCursor` of the page before.'),
}

/** A page of a list; `nextCursor` is null on the last one. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() })
}

export function encodeCursor(position: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url')
}

/** @throws TRPCError BAD_REQUEST when the text is no cursor of this list. */
export function decodeCursor<T>(cursor: string, shape: z.ZodType<T>): T {
  try {
    return shape.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
  } catch (cause) {
    const message = 'The cursor is not one of this list. Leave it out to start from the beginning.'
    throw new TRPCError({ code: 'BAD_REQUEST', message, cause: new Error('bad cursor', { cause }) })
  }
}

/**
 * The page of rows that were asked for with one more than `limit`: that one says whether there is a next page.
 * @param positionOf where the next page begins when this row is the last of its page.
 */
export function toPage<Row, Item>(
  rows: Row[],
  limit: number,
  toItem: (row: Row) => Item,
  positionOf: (row: Row) => readonly (string | number)[],
): { items: Item[]; nextCursor: string | null } {
  const page = rows.slice(0, limit)
  const last = rows.length > limit ? page.at(-1) : undefined
  return { items: page.map(toItem), nextCursor: last ? encodeCursor(positionOf(last)) : null }
}

/** Of a list that is ordered by an instant, as PostgreSQL writes it, and then by id. */
export const TimePosition = z.tuple([z.string().max(40), Id])

/** What is behind the cursor in a list that begins with the newest. @throws TRPCError BAD_REQUEST, as decodeCursor. */
export function olderThan(at: PgColumn, id: PgColumn, cursor: string | undefined): SQL | undefined {
  if (cursor === undefined) return undefined
  const [instant, lastId] = decodeCursor(cursor, TimePosition)
  return sql`(${at}, ${id}) < (${instant}::timestamptz, ${lastId}::uuid)`
}

/**
 * A page of such a list: `position` is the instant of its order, as PostgreSQL writes it. It is not taken out of the rows,
 * each of which would be copied for it: the schema of the answer leaves it out.
 */
export function toTimePage<Row extends { position: string; id: string }, Item>(
  rows: Row[],
  limit: number,
  toItem: (row: Omit<Row, 'position'>) => Item,
): { items: Item[]; nextCursor: string | null } {
  return toPage(rows, limit, toItem, ({ position, id }) => [position, id])
}

/** A page of the tenant's rows of a table, the newest first. @throws TRPCError BAD_REQUEST, as decodeCursor. */
export async function listNewest<Columns extends SelectedFields & { id: PgColumn }, Item>(
  tx: Tx,
  tenantId: string,
  table: PgTable & { id: PgColumn; tenantId: PgColumn; createdAt: PgColumn },
  columns: Columns,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
  toItem: (row: SelectResultFields<Columns>) => Item,
): Promise<{ items: Item[]; nextCursor: string | null }> {
  const rows = await tx
    .select({ ...columns, position: sql<string>`${table.createdAt}::text` })
    .from(table as PgTable)
    .where(and(eq(table.tenantId, tenantId), olderThan(table.createdAt, table.id, cursor)))
    .orderBy(desc(table.createdAt), desc(table.id))
    .limit(limit + 1)
  // drizzle infers nothing of columns that it does not know yet.
  type Row = { position: string; id: string }
  return toTimePage(rows as unknown as Row[], limit, (row) => toItem(row as unknown as SelectResultFields<Columns>))
}
