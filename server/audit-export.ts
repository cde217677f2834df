// An export of the audit log: lines that prove themselves, or a table; made batch by batch as fast as they are taken.
import { createHash } from 'node:crypto'
import { callTRPCProcedure } from '@trpc/server'
import { canonical, type ExportStatement } from './audit-chain.ts'
import type { Checkpoint as Signed } from './audit-checkpoints.ts'
import { type AuditEntry, type AuditFilters, toChained } from './audit-query.ts'
import { listAuditKeys } from './audit-signer.ts'
import type { Call } from './call.ts'
import { badField } from './problem.ts'
import { auditExportRouter, ExportFormat } from './routers/audit-log.ts'
import { appRouter } from './routers/index.ts'
import { getRuntime } from './runtime.ts'
import { t } from './trpc.ts'

export interface AuditExport {
  /** What it is, and the name to save it under. */
  headers: Record<string, string>
  chunks: AsyncGenerator<Buffer>
}

const batch = 1_000

const createBatchCaller = t.createCallerFactory(auditExportRouter)

/**
 * Begins an export: it is audited, and signs where the chain stands, which is where it ends.
 * @throws TRPCError when the call may not, before anything is sent; `chunks` throws too when it may no longer.
 */
export async function openAuditExport(call: Call, input: object): Promise<AuditExport> {
  const checkpoint: Signed = await callTRPCProcedure({
    router: appRouter,
    path: 'auditLog.export',
    type: 'mutation',
    ctx: call,
    getRawInput: async () => input,
    signal: undefined,
    batchIndex: 0,
  })
  const { format, filters } = read(input)
  const batches = readBatches(call, filters, checkpoint.seq)
  const name = `audit-log-${checkpoint.at.slice(0, 19).replace(/[-:]/g, '')}Z.${format}`
  return {
    headers: { 'Content-Type': contentTypes[format], 'Content-Disposition': `attachment; filename="${name}"` },
    chunks: format === 'csv' ? toCsv(batches) : toLines(batches, checkpoint, filters),
  }
}

/** What HEAD is told of an export: nothing is audited, for nobody gets it. @throws TRPCError when the call may not. */
export async function describeAuditExport(call: Call, input: object): Promise<AuditExport['headers']> {
  const { format, filters } = read(input)
  if (!ExportFormat.safeParse(format).success) throw badField('format', 'Must be ndjson or csv.')
  await createBatchCaller(call).auditLog.exportBatch({ ...filters, after: 0, upTo: 0 })
  return { 'Content-Type': contentTypes[format] }
}

const contentTypes = { ndjson: 'application/x-ndjson', csv: 'text/csv; charset=utf-8; header=present' }

/** The procedures parse it; this only takes it apart. */
function read(input: object): { format: keyof typeof contentTypes; filters: AuditFilters } {
  const { format = 'ndjson', ...filters } = input as { format?: keyof typeof contentTypes } & AuditFilters
  return { format, filters }
}

interface Batch {
  entries: AuditEntry[]
  cut: Signed | null
}

async function* readBatches(call: Call, filters: AuditFilters, upTo: number): AsyncGenerator<Batch> {
  const caller = createBatchCaller({ ...call, isContinued: true })
  const first = await caller.auditLog.exportBatch({ ...filters, after: 0, upTo: 0 })
  yield first
  for (let after = first.cut?.seq ?? 0; after < upTo; after += batch) {
    yield await caller.auditLog.exportBatch({ ...filters, after, upTo: Math.min(after + batch, upTo) })
  }
}

async function* toLines(batches: AsyncGenerator<Batch>, checkpoint: Signed, filters: AuditFilters): AsyncGenerator<Buffer> {
  const digest = createHash('sha256')
  let count = 0
  const linesOf = (values: object[]) => {
    const bytes = Buffer.from(values.map((value) => `${canonical(value)}\n`).join(''))
    digest.update(bytes)
    return bytes
  }
  for await (const { entries, cut } of batches) {
    count += entries.length
    yield linesOf([...(cut ? [cut] : []), ...entries.map(toChained)])
  }
  yield linesOf([checkpoint])
  const { auditSigner, database } = getRuntime()
  const { tenantId, seq, hash, at } = checkpoint
  const given = Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined && value !== ''))
  const statement: ExportStatement = auditSigner.sign({
    ...{ type: 'export' as const, tenantId, seq, hash, at, entries: count },
    ...{ filters: given as Record<string, string>, digest: digest.copy().digest('hex') },
  })
  yield linesOf([statement])
  const { keys } = await listAuditKeys(database.db)
  yield linesOf(keys.map(({ kty, crv, x, kid }) => ({ type: 'key', kty, crv, x, kid })))
}

const csvColumns: Record<string, (entry: AuditEntry) => unknown> = {
  seq: ({ seq }) => seq,
  at: ({ at }) => at,
  actorKind: ({ actor }) => actor.kind,
  actorId: ({ actor }) => actor.id,
  actorName: ({ actor }) => actor.name,
  actorRole: ({ actor }) => actor.role,
  action: ({ action }) => action,
  entityType: ({ entity }) => entity.type,
  entityId: ({ entity }) => entity.id,
  entityName: ({ entity }) => entity.name,
  outcome: ({ outcome }) => outcome,
  occurrences: ({ occurrences }) => occurrences,
  ip: ({ ip }) => ip,
  userAgent: ({ userAgent }) => userAgent,
  requestId: ({ requestId }) => requestId,
  operation: ({ details }) => details.operation,
  reason: ({ details }) => details.reason,
  before: ({ details }) => details.before && canonical(details.before),
  after: ({ details }) => details.after && canonical(details.after),
  hash: ({ hash }) => hash,
}

async function* toCsv(batches: AsyncGenerator<Batch>): AsyncGenerator<Buffer> {
  const readers = Object.values(csvColumns)
  yield Buffer.from(csvRow(Object.keys(csvColumns)))
  for await (const { entries } of batches) {
    yield Buffer.from(entries.map((entry) => csvRow(readers.map((read) => read(entry)))).join(''))
  }
}

/** RFC 4180. What a spreadsheet would take for a formula begins with an apostrophe, as OWASP advises. */
export function csvRow(cells: unknown[]): string {
  const texts = cells.map((cell) => {
    const text = String(cell ?? '')
    const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
  })
  return `${texts.join(',')}\r\n`
}
