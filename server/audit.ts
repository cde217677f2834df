// What an audit entry is, and the only code that writes one.
import { sql } from 'drizzle-orm'
import type { Tx } from '#db/client.ts'
import { type AuditDetails, auditFolds, auditLog } from '#db/schema.ts'
import type { Call } from './call.ts'
import type { Role } from './roles.ts'

export interface Actor {
  kind: 'user' | 'key' | 'console' | 'system'
  id: string
  name: string
  role: Role | null
}

export interface Entity {
  type: 'api_key' | 'agent' | 'user' | 'tenant'
  id: string
  name: string
}

export interface Change {
  entity: Entity
  before?: Record<string, unknown>
  after?: Record<string, unknown>
  reason?: string
}

type Origin = Pick<Call, 'ip' | 'userAgent' | 'requestId'>

interface Entry extends Change {
  tenantId: string
  actor: Actor
  action: string
  outcome: 'success' | 'refused'
  origin: Origin
  operation?: string
}

/** Writes an entry on the transaction of the change that it is about. */
export async function writeAudit(tx: Tx, entry: Entry): Promise<void> {
  await tx.insert(auditLog).values(toRow(entry))
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
  change: Change | 'unchanged' | undefined

  record(change: Change): void {
    this.change = change
  }

  /** The call changed nothing, so there is nothing to write: a second revoke, for example. */
  unchanged(): void {
    this.change ??= 'unchanged'
  }
}
