// What an audit entry is, and the only code that writes one.
import { sql } from 'drizzle-orm'
import type { Tx } from '#db/client.ts'
import { prepared } from '#db/prepared.ts'
import { type AuditDetails, auditFolds, auditLog } from '#db/schema.ts'
import type { Call } from './call.ts'
import type { Role } from './roles.ts'

export interface Actor {
  kind: 'user' | 'key' | 'console' | 'system' | 'trust_rule'
  id: string
  name: string
  role: Role | null
}

export interface Entity {
  type:
    | ('api_key' | 'agent' | 'user' | 'invitation' | 'tenant' | 'webhook' | 'notice' | 'identity_provider' | 'trust_rule')
    | ('test_suite' | 'test_case' | 'judge_setting' | 'run' | 'result')
  id: string
  name: string
}

export interface Change {
  /** In whose log it belongs, when that is not the call's tenant: that of a tenant that was just made. */
  tenantId?: string
  entity: Entity
  /** When it is another than the operation's own: a key that is revoked because its owner leaves. */
  action?: string
  before?: Record<string, unknown>
  after?: Record<string, unknown>
  reason?: string
}

type Origin = Pick<Call, 'ip' | 'userAgent' | 'requestId'>

export interface Entry extends Change {
  tenantId: string
  actor: Actor
  action: string
  outcome: 'success' | 'refused'
  origin: Origin
  operation?: string
}

/** Writes entries, at least one, on the transaction of the change that they are about. */
export async function writeAudit(tx: Tx, ...entries: Entry[]): Promise<void> {
  const rows = entries.map(toRow)
  const [row, another] = rows
  if (!row) return
  if (another) await tx.insert(auditLog).values(rows)
  else await prepared(tx, 'write an audit entry', insertOne).execute(row)
}

const rowFields = [
  'tenantId',
  'actorKind',
  'actorId',
  'actorName',
  'actorRole',
  'action',
  'entityType',
  'entityId',
  'entityName',
  'outcome',
  'ip',
  'userAgent',
  'requestId',
  'details',
] as const satisfies (keyof ReturnType<typeof toRow>)[]

function insertOne(tx: Tx) {
  const placeholders = Object.fromEntries(rowFields.map((field) => [field, sql.placeholder(field)]))
  return tx
    .insert(auditLog)
    .values(placeholders as unknown as typeof auditLog.$inferInsert) // a placeholder of each column's own value
    .prepare('write_audit')
}

/**
 * Writes a refusal unless one with the same `foldKey` stands already, and counts `occurrences` for it.
 * The count is kept beside the log: the log itself is never updated.
 */
export async function writeFoldedAudit(tx: Tx, entry: Entry, foldKey: string, occurrences: number): Promise<void> {
  await tx
    .insert(auditLog)
    .values({ ...toRow(entry), foldKey })
    .onConflictDoNothing()
  await tx
    .insert(auditFolds)
    .values({ tenantId: entry.tenantId, foldKey, occurrences })
    .onConflictDoUpdate({
      target: [auditFolds.tenantId, auditFolds.foldKey],
      set: { occurrences: sql`${auditFolds.occurrences} + ${occurrences}` },
    })
}

function toRow({ tenantId, actor, action, entity, outcome, origin, before, after, reason, operation }: Entry) {
  const details: AuditDetails = {
    ...changedFields(before, after),
    ...(reason ? { reason } : {}),
    ...(operation ? { operation } : {}),
  }
  return {
    tenantId,
    actorKind: actor.kind,
    actorId: actor.id,
    actorName: actor.name,
    actorRole: actor.role,
    action,
    entityType: entity.type,
    entityId: entity.id,
    entityName: entity.name,
    outcome,
    ip: origin.ip,
    userAgent: origin.userAgent,
    requestId: origin.requestId,
    details,
  }
}

/** Of an update, only the fields that changed; of a creation or a deletion, everything. */
function changedFields(
  before?: Record<string, unknown>,
  after?: Record<string, unknown>,
): Pick<AuditDetails, 'before' | 'after'> {
  if (!before || !after) return { ...(before ? { before } : {}), ...(after ? { after } : {}) }
  const changed = Object.keys({ ...before, ...after }).filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))
  const only = (from: Record<string, unknown>) => Object.fromEntries(changed.map((key) => [key, from[key]]))
  return { before: only(before), after: only(after) }
}

/** What a mutation says of itself: the gate writes it, and refuses to commit a mutation that said nothing. */
export class AuditRecorder {
  changes: Change[] | 'unchanged' = []

  /** One entry: called once for each thing that the call changed. */
  record(change: Change): void {
    this.changes = this.changes === 'unchanged' ? [change] : [...this.changes, change]
  }

  /** The call changed nothing, so there is nothing to write: a second revoke, for example. */
  unchanged(): void {
    if (this.changes.length === 0) this.changes = 'unchanged'
  }
}
