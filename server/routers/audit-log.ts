// The audit log: read, followed, exported, and how long it is kept.
import { TRPCError } from '@trpc/server'
import { eq } from 'drizzle-orm'
import { z } from 'zod'
import { tenants } from '#db/schema.ts'
import { findStatement, readHead, writeCheckpoint } from '../audit-checkpoints.ts'
import { AuditEntry, AuditFilters, findEntries, findInChain } from '../audit-query.ts'
import { procedure } from '../gate.ts'
import { Instant } from '../input.ts'
import { decodeCursor, PageInput, pageOf, toPage } from '../paging.ts'
import { badField } from '../problem.ts'
import { t } from '../trpc.ts'

const tags = ['audit-log']

const Sequence = z.number().int().nonnegative()

export const Checkpoint = z
  .object({
    type: z.enum(['checkpoint', 'cut']),
    tenantId: z.string(),
    seq: Sequence.describe('Of the newest entry that it covers.'),
    hash: z.string().describe('Hash of that entry.'),
    at: Instant,
    keyId: z.string().describe('`kid` of the key at /.well-known/mate-audit-key.'),
    signature: z.string().describe('Ed25519 over the canonical form (RFC 8785) of the rest, in base64url.'),
  })
  .meta({ id: 'AuditCheckpoint' })

export const ExportFormat = z.enum(['ndjson', 'csv'])

const Retention = z.number().int().min(30, 'Must be at least 30.').max(36_500).nullable()

export const auditLogRouter = t.router({
  list: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        method: 'GET',
        path: '/admin/audit-log',
        summary: 'Read the audit log',
        description:
          'Entries of the tenant, newest first. Filters are combined with and. With `after`, the entries behind that sequence, oldest first: ask again with the last `seq` that you got, and you miss none and get none twice.',
        tags,
      },
    })
    .input(
      z.strictObject({
        ...PageInput,
        ...AuditFilters,
        after: Sequence.optional().describe('A sequence, 0 for the beginning. Not together with filters or a cursor.'),
      }),
    )
    .output(pageOf(AuditEntry))
    .query(async ({ ctx: { tx, tenant }, input: { limit, cursor, after, ...filters } }) => {
      if (after !== undefined) {
        const [other] = Object.keys({ ...filters, ...(cursor === undefined ? {} : { cursor }) })
        if (other !== undefined) throw badField('after', 'Goes with no filter and no cursor.')
        const items = await findInChain(tx, tenant.id, {}, { after, limit })
        return { items, nextCursor: null }
      }
      const before = cursor === undefined ? undefined : decodeCursor(cursor, z.tuple([Sequence]))[0]
      const found = await findEntries(tx, tenant.id, filters, { before, limit: limit + 1 })
      return toPage(
        found,
        limit,
        (entry) => entry,
        ({ id }) => [id],
      )
    }),

  getChain: procedure
    .meta({
      role: 'TenantAdmin',
      openapi: {
        method: 'GET',
        path: '/admin/audit-log/chain',
        summary: 'Where the chain stands',
        description:
          'Sequence and hash of the newest entry, the newest signed checkpoint, and how far the log was cut off, if it was.',
        tags,
      },
    })
    .input(z.strictObject({}))
    .output(
      z.object({
        seq: Sequence,
        hash: z.string(),
        checkpoint: Checkpoint.nullable(),
        cut: Checkpoint.nullable(),
        retentionDays: Retention,
      }),
    )
    .query(async ({ ctx: { tx, tenant } }) => {
      const { seq, hash } = await readHead(tx, tenant.id)
      const [row] = await tx.select({ days: tenants.auditRetentionDays }).from(tenants).where(eq(tenants.id, tenant.id))
      return {
        seq,
        hash,
        checkpoint: (await findStatement(tx, tenant.id, 'checkpoint')) ?? null,
        cut: (await findStatement(tx, tenant.id, 'cut')) ?? null,
        retentionDays: row?.days ?? null,
      }
    }),

  setRetention: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'audit_log.retention_set',
      openapi: {
        method: 'PUT',
        path: '/admin/audit-log/retention',
        summary: 'Set how long entries are kept',
        description:
          'Entries that are older are cut off once a day, behind a signed statement of where. Without an age they are kept for ever.',
        tags,
      },
    })
    .input(z.strictObject({ retentionDays: Retention.describe('Days, at least 30; null keeps entries for ever.') }))
    .output(z.object({ retentionDays: Retention }))
    .mutation(async ({ ctx: { tx, tenant, audit }, input: { retentionDays } }) => {
      const ours = eq(tenants.id, tenant.id)
      const [row] = await tx.select({ days: tenants.auditRetentionDays }).from(tenants).where(ours)
      if (!row) throw new TRPCError({ code: 'NOT_FOUND', message: 'There is no such tenant.' })
      if (row.days === retentionDays) {
        audit.unchanged()
        return { retentionDays }
      }
      await tx.update(tenants).set({ auditRetentionDays: retentionDays }).where(ours)
      audit.record({
        entity: { type: 'tenant', ...tenant },
        before: { retentionDays: row.days },
        after: { retentionDays },
      })
      return { retentionDays }
    }),

  export: procedure
    .meta({
      role: 'TenantAdmin',
      audit: 'audit_log.exported',
      scope: 'audit-log:read',
      openapi: {
        method: 'GET',
        path: '/admin/audit-log/export',
        summary: 'Export the audit log',
        description:
          'All entries that match, oldest first, as a file. NDJSON ends with a signed checkpoint and is checked without a server: `npx mate audit verify FILE`. The export itself is audited. By tRPC, only the checkpoint is answered.',
        tags,
        stream: ['application/x-ndjson', 'text/csv'],
      },
    })
    .input(z.strictObject({ ...AuditFilters, format: ExportFormat.default('ndjson') }))
    .output(Checkpoint)
    .mutation(async ({ ctx: { tx, tenant, audit }, input }) => {
      const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined))
      audit.record({ entity: { type: 'tenant', ...tenant }, after: given })
      return writeCheckpoint(tx, tenant.id)
    }),
})

/** Not at any door: the batches of an export, each through the gate, so that a key which is revoked meanwhile gets no more. */
export const auditExportRouter = t.router({
  auditLog: t.router({
    exportBatch: procedure
      .meta({
        role: 'TenantAdmin',
        openapi: {
          method: 'GET',
          path: '/admin/audit-log/export',
          summary: 'A batch of an export',
          description: 'What an export writes at once.',
          tags,
        },
      })
      .input(z.strictObject({ ...AuditFilters, after: Sequence, upTo: Sequence }))
      .output(z.object({ entries: z.array(AuditEntry), cut: Checkpoint.nullable() }))
      .query(async ({ ctx: { tx, tenant }, input: { after, upTo, ...filters } }) => ({
        entries: await findInChain(tx, tenant.id, filters, { after, upTo }),
        cut: after === 0 ? ((await findStatement(tx, tenant.id, 'cut')) ?? null) : null,
      })),
  }),
})
