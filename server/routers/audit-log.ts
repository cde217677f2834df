// The audit log, read.
import { and, desc, eq, gte, lt, or, sql } from 'drizzle-orm'
import { z } from 'zod'
import { auditFolds, auditLog } from '#db/schema.ts'
import { procedure } from '../gate.ts'
import { decodeCursor, encodeCursor, GivenInstant, Instant, PageInput, pageOf } from '../input.ts'
import { t } from '../trpc.ts'

const Fields = z.record(z.string(), z.unknown())

const AuditEntry = z
  .object({
    id: z.number().int(),
    at: Instant,
    actor: z.object({
      kind: z.enum(['user', 'key', 'console', 'system']),
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
  })
  .meta({ id: 'AuditEntry' })

/** True when the text holds the search, whatever its case; % and _ are ordinary characters. */
const contains = (column: unknown, search: string) => sql`strpos(lower(${column}), lower(${search})) > 0`

export const auditLogRouter = t.router({
  list: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        method: 'GET',
        path: '/admin/audit-log',
        summary: 'Read the audit log',
        description: 'Entries of the tenant, newest first. Filters are combined with and.',
        tags: ['audit-log'],
      },
    })
    .input(
      z.strictObject({
        ...PageInput,
        action: z.string().max(100).optional().describe('Such as `api_key.revoked`.'),
        entityType: z.string().max(100).optional().describe('Such as `api_key`.'),
        actor: z.string().max(200).optional().describe('The id of who did it, or a part of the name.'),
        search: z.string().max(200).optional().describe('A part of a name, an id, an address or a request id.'),
        from: GivenInstant.optional().describe('Earliest instant, inclusive.'),
        to: GivenInstant.optional().describe('Latest instant, exclusive.'),
      }),
    )
    .output(pageOf(AuditEntry))
    .query(async ({ ctx: { tx, tenant }, input }) => {
      const { limit, cursor, action, entityType, actor, search, from, to } = input
      const before = cursor === undefined ? undefined : decodeCursor(cursor, z.tuple([z.number().int().nonnegative()]))
      const searched = sql`concat_ws(' ', ${auditLog.entityName}, ${auditLog.entityId}, ${auditLog.actorName}, ${auditLog.actorId}, ${auditLog.action}, ${auditLog.ip}, ${auditLog.requestId}, ${auditLog.details} ->> 'reason')`
      const rows = await tx
        .select({
          id: auditLog.id,
          at: auditLog.at,
          actor: { kind: auditLog.actorKind, id: auditLog.actorId, name: auditLog.actorName, role: auditLog.actorRole },
          action: auditLog.action,
          entity: { type: auditLog.entityType, id: auditLog.entityId, name: auditLog.entityName },
          outcome: auditLog.outcome,
          occurrences: sql<number>`coalesce(${auditFolds.occurrences}, 1)`,
          ip: auditLog.ip,
          userAgent: auditLog.userAgent,
          requestId: auditLog.requestId,
          details: auditLog.details,
        })
        .from(auditLog)
        .leftJoin(auditFolds, and(eq(auditFolds.tenantId, auditLog.tenantId), eq(auditFolds.foldKey, auditLog.foldKey)))
        .where(
          and(
            eq(auditLog.tenantId, tenant.id),
            before && lt(auditLog.id, before[0]),
            action ? eq(auditLog.action, action) : undefined,
            entityType ? eq(auditLog.entityType, entityType) : undefined,
            actor ? or(eq(auditLog.actorId, actor), contains(auditLog.actorName, actor)) : undefined,
            search ? contains(searched, search) : undefined,
            from ? gte(auditLog.at, new Date(from)) : undefined,
            to ? lt(auditLog.at, new Date(to)) : undefined,
          ),
        )
        .orderBy(desc(auditLog.id))
        .limit(limit + 1)
      const page = rows.slice(0, limit)
      const last = rows.length > limit ? page.at(-1) : undefined
      return {
        items: page.map((row) => ({ ...row, at: row.at.toISOString() })),
        nextCursor: last ? encodeCursor([last.id]) : null,
      }
    }),
})
