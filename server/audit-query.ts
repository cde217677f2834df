// Finds entries of the audit log: what the filters mean, and how each is answered from ten million (docs/decisions/0014).
import { and, desc, eq, gt, lt, or, type SQL, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { auditChain, auditFolds, auditLog } from '#db/schema.ts'
import type { ChainedEntry } from './audit-chain.ts'
import { GivenInstant, Instant } from './input.ts'
import { badField } from './problem.ts'

export const AuditFilters = {
  action: z.string().max(100).optional().describe('Such as `api_key.revoked`.'),
  entityType: z.string().max(100).optional().describe('Such as `api_key`.'),
  actor: z.string().max(200).optional().describe('The id of who did it, or a part of the name.'),
  search: z
    .string()
    .max(200)
    .optional()
    .describe('A part of a name, an action, an address or a reason; or the whole id of a person, a thing or a request.'),
  from: GivenInstant.optional().describe('Earliest instant, inclusive.'),
  to: GivenInstant.optional().describe('Latest instant, exclusive.'),
}
export type AuditFilters = { [name in keyof typeof AuditFilters]?: string | undefined }

const Fields = z.record(z.string(), z.unknown())

export const AuditEntry = z
  .object({
    id: z.number().int(),
    tenantId: z.string(),
    seq: z.number().int().describe('1, 2, 3 … in the tenant, without gaps.'),
    at: Instant,
    actor: z.object({
      kind: z.enum(['user', 'key', 'console', 'system', 'trust_rule']),
      id: z.string(),
      name: z.string(),
      role: z.string().nullable(),
    }),
    action: z.string(),
    entity: z.object({ type: z.string(), id: z.string(), name: z.string() }),
    outcome: z.enum(['success', 'refused']),
    occurrences: z.number().int().describe('Refusals of one principal and operation are folded to one entry a minute.'),
    ip: z.string().nullable(),
    userAgent: z.string().nullable(),
    requestId: z.string(),
    details: z.object({
      before: Fields.optional(),
      after: Fields.optional(),
      reason: z.string().optional(),
      operation: z.string().optional(),
    }),
    prevHash: z.string().describe('Hash of the entry before it, 64 zeros for the first.'),
    hash: z
      .string()
      .describe('SHA-256, in hex, over the entry in canonical form (RFC 8785) without `hash`, `id` and `occurrences`.'),
  })
  .meta({ id: 'AuditEntry' })
export type AuditEntry = z.infer<typeof AuditEntry>

const columns = {
  id: auditLog.id,
  tenantId: auditLog.tenantId,
  seq: auditChain.seq,
  at: sql<string>`mate_instant(${auditLog.at})`,
  actor: { kind: auditLog.actorKind, id: auditLog.actorId, name: auditLog.actorName, role: auditLog.actorRole },
  action: auditLog.action,
  entity: { type: auditLog.entityType, id: auditLog.entityId, name: auditLog.entityName },
  outcome: auditLog.outcome,
  occurrences: sql<number>`coalesce(${auditFolds.occurrences}, 1)`,
  ip: auditLog.ip,
  userAgent: auditLog.userAgent,
  requestId: auditLog.requestId,
  details: auditLog.details,
  prevHash: sql<string>`encode(${auditChain.prevHash}, 'hex')`,
  hash: sql<string>`encode(${auditChain.hash}, 'hex')`,
}

/** The entry as it is hashed, its hash with it: a line of an export. */
export function toChained({ id: _, occurrences: __, ...entry }: AuditEntry): ChainedEntry {
  return entry
}

const selectEntries = (tx: Tx) =>
  tx
    .select(columns)
    .from(auditLog)
    .innerJoin(auditChain, eq(auditChain.entryId, auditLog.id))
    .leftJoin(auditFolds, and(eq(auditFolds.tenantId, auditLog.tenantId), eq(auditFolds.foldKey, auditLog.foldKey)))

/** At most `limit` entries that match, the newest first, of those whose id is below `before`. */
export async function findEntries(
  tx: Tx,
  tenantId: string,
  filters: AuditFilters,
  { before, limit }: { before: number | undefined; limit: number },
): Promise<AuditEntry[]> {
  const base = and(
    eq(auditLog.tenantId, tenantId),
    before === undefined ? undefined : lt(auditLog.id, before),
    matchesExactly(filters),
    await idsNear(tx, tenantId, filters),
  )
  const ids = (await findByText(tx, base, tenantId, filters, { before, limit })) ?? (await newestIds(tx, base, limit))
  if (ids.length === 0) return []
  return selectEntries(tx)
    .where(and(eq(auditLog.tenantId, tenantId), sql`${auditLog.id} = any(${idArray(ids)})`))
    .orderBy(desc(auditLog.id))
}

const idArray = (ids: number[]) => sql`${`{${ids.join(',')}}`}::bigint[]`

async function newestIds(tx: Tx, where: SQL | undefined, limit: number): Promise<number[]> {
  const rows = await tx.select({ id: auditLog.id }).from(auditLog).where(where).orderBy(desc(auditLog.id)).limit(limit)
  return rows.map(({ id }) => id)
}

/** Entries of the chain that match, in its order, of those after `after` and not beyond `upTo`. */
export async function findInChain(
  tx: Tx,
  tenantId: string,
  filters: AuditFilters,
  { after, upTo = Number.MAX_SAFE_INTEGER, limit }: { after: number; upTo?: number; limit?: number },
): Promise<AuditEntry[]> {
  const query = selectEntries(tx)
    .where(
      and(
        eq(auditChain.tenantId, tenantId),
        eq(auditLog.tenantId, tenantId),
        sql`${auditChain.seq} > ${after} and ${auditChain.seq} <= ${upTo}`,
        matchesExactly(filters),
        textConditions(filters),
      ),
    )
    .orderBy(auditChain.seq)
  return limit === undefined ? query : query.limit(limit)
}

function matchesExactly({ action, entityType, from, to }: AuditFilters): SQL | undefined {
  return and(
    action ? eq(auditLog.action, action) : undefined,
    entityType ? eq(auditLog.entityType, entityType) : undefined,
    from ? sql`${auditLog.at} >= ${from}::timestamptz` : undefined,
    to ? sql`${auditLog.at} < ${to}::timestamptz` : undefined,
  )
}

/**
 * Bounds of the ids for bounds of time, so that a walk by id begins near the one and ends near the other. Ids and times are
 * given at the same moment: ten minutes of leeway are for a clock that is set back.
 */
async function idsNear(tx: Tx, tenantId: string, { from, to }: AuditFilters): Promise<SQL | undefined> {
  if (!from && !to) return undefined
  const neighbour = (at: SQL, order: SQL) =>
    sql<number | null>`(select l.id::float8 from audit_log l where l.tenant_id = ${tenantId} and ${at} order by ${order} limit 1)`
  const none = sql<number | null>`null::float8`
  const [bounds] = await tx
    .select({
      above: from ? neighbour(sql`l.at < ${from}::timestamptz - interval '10 minutes'`, sql`l.at desc`) : none,
      below: to ? neighbour(sql`l.at >= ${to}::timestamptz + interval '10 minutes'`, sql`l.at`) : none,
    })
    .from(sql`(select) as once`)
  return and(
    typeof bounds?.above === 'number' ? gt(auditLog.id, bounds.above) : undefined,
    typeof bounds?.below === 'number' ? lt(auditLog.id, bounds.below) : undefined,
  )
}

const text = sql`mate_audit_text(${auditLog.entityName}, ${auditLog.actorName}, ${auditLog.action}, ${auditLog.ip}, ${auditLog.details})`

/** True when the text holds the term, whatever its case; % and _ are ordinary characters. */
const contains = (column: unknown, term: string) => sql`strpos(lower(${column}), lower(${term})) > 0`

const idsOf = { search: [auditLog.entityId, auditLog.actorId, auditLog.requestId], actor: [auditLog.actorId] } as const

function textConditions({ search, actor }: AuditFilters): SQL | undefined {
  return and(
    search ? or(contains(text, search), ...idsOf.search.map((id) => sql`${id} = lower(${search})`)) : undefined,
    actor ? or(contains(auditLog.actorName, actor), sql`${auditLog.actorId} = lower(${actor})`) : undefined,
  )
}

/** How many of the newest entries are read one by one before the index is asked, and when there is none to ask. */
const window = 2_000
const longWindow = 50_000

/** Of the newest entries those that hold the text, and whether there are no others to look at. */
async function amongNewest(tx: Tx, base: SQL | undefined, filters: AuditFilters, count: number) {
  const [found] = await tx
    .select({
      ids: sql<number[]>`coalesce(json_agg(id order by id desc) filter (where is_match), '[]')`,
      seen: sql<number>`count(*)::int`,
    })
    .from(
      tx
        .select({ id: auditLog.id, isMatch: sql<boolean>`${textConditions(filters)}`.as('is_match') })
        .from(auditLog)
        .where(base)
        .orderBy(desc(auditLog.id))
        .limit(count)
        .as('newest'),
    )
  return { ids: found?.ids ?? [], isAll: (found?.seen ?? 0) < count }
}

/**
 * Ids of the newest entries that hold a text. What is frequent is found among the newest; what is rare by the index of
 * trigrams, block by block from the newest on, so that neither reads all of what matches.
 * @returns undefined when no filter is about text.
 */
async function findByText(
  tx: Tx,
  base: SQL | undefined,
  tenantId: string,
  filters: AuditFilters,
  { before, limit }: { before: number | undefined; limit: number },
): Promise<number[] | undefined> {
  const field = filters.search ? 'search' : 'actor'
  const term = filters[field]
  if (!term) return undefined
  const newest = await amongNewest(tx, base, filters, window)
  if (newest.isAll || newest.ids.length >= limit) return newest.ids.slice(0, limit)
  const words = term.match(/[\p{L}\p{N}]{3,}/gu) ?? []
  if (words.length === 0) {
    // There is no trigram to look up: a table this long is read as far as the time allows, and never in part unsaid.
    const more = await amongNewest(tx, base, filters, longWindow)
    if (more.isAll || more.ids.length >= limit) return more.ids.slice(0, limit)
    throw badField(field, 'Must hold three letters or digits in a row: the log is too long to look for less.')
  }
  const matches = and(base, textConditions(filters))
  const sought = (words.length > 1 && (await findRareWord(tx, tenantId, words))) || term
  const byId = idsOf[field].map(
    (id) => sql`(select id from audit_log where ${and(matches, sql`${id} = lower(${term})`)} order by id desc limit ${limit})`,
  )
  const byText = sql`(select hit.id from generate_series(
      ${before === undefined ? newestBlock(tenantId) : sql`(${before}::bigint >> 16)::int`}, ${oldestBlock(tenantId)}, -1) as block(n)
    cross join lateral (
      select id from audit_log where ${matches} and id = any(array(
        select mate_find_audit_text(lower(${`%${escapeLike(sought)}%`}), block.n)))
      order by id desc limit ${limit}) as hit limit ${limit})`
  const found = await tx
    .select({ id: sql<number>`id::float8` })
    .from(sql`(${sql.join([...byId, byText], sql` union `)}) as found`)
  return found
    .map(({ id }) => id)
    .sort((a, b) => b - a)
    .slice(0, limit)
}

/** A word that next to none of the newest entries holds: the index answers it alone sooner than with the frequent ones. */
async function findRareWord(tx: Tx, tenantId: string, words: string[]): Promise<string | undefined> {
  const newest = tx
    .select({ text: sql`${text}`.as('text') })
    .from(auditLog)
    .where(eq(auditLog.tenantId, tenantId))
    .orderBy(desc(auditLog.id))
    .limit(window)
    .as('newest')
  const counts = sql.join(
    words.map((word) => sql`count(*) filter (where strpos(text, lower(${word})) > 0)`),
    sql`, `,
  )
  const [found] = await tx.select({ counts: sql<number[]>`json_build_array(${counts})` }).from(newest)
  const least = Math.min(...(found?.counts ?? [window]))
  return least <= window / 1_000 ? words[found?.counts.indexOf(least) ?? 0] : undefined
}

const newestBlock = (tenantId: string) =>
  sql`(select (id >> 16)::int from audit_log where tenant_id = ${tenantId} order by id desc limit 1)`
const oldestBlock = (tenantId: string) =>
  sql`(select (id >> 16)::int from audit_log where tenant_id = ${tenantId} order by id limit 1)`

const escapeLike = (term: string) => term.replace(/[\\%_]/g, '\\$&')
