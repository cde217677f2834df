// Signed statements on how far a tenant's chain goes: made every minute, and written outside the database too.
import { open } from 'node:fs/promises'
import { and, asc, eq, inArray, sql } from 'drizzle-orm'
import type { Database, Tx } from '#db/client.ts'
import { auditCheckpoints } from '#db/schema.ts'
import { canonical, noHash, type Statement } from './audit-chain.ts'
import { getRuntime } from './runtime.ts'

export type Checkpoint = Statement & { type: 'checkpoint' | 'cut' }

/** `at` with the microseconds that were signed. */
export const checkpointColumns = {
  type: auditCheckpoints.type,
  tenantId: auditCheckpoints.tenantId,
  seq: auditCheckpoints.seq,
  hash: sql<string>`encode(${auditCheckpoints.hash}, 'hex')`,
  at: sql<string>`mate_instant(${auditCheckpoints.at})`,
  keyId: auditCheckpoints.keyId,
  signature: sql<string>`translate(encode(${auditCheckpoints.signature}, 'base64'), E'+/=\n', '-_')`,
}

/** Where the chain of a tenant ends, as far as it is committed. */
export async function readHead(tx: Tx, tenantId: string): Promise<{ seq: number; hash: string; at: string }> {
  const [head] = await tx
    .select({
      seq: sql<number>`coalesce(seq, 0)::float8`,
      hash: sql<string>`coalesce(encode(hash, 'hex'), ${noHash})`,
      at: sql<string>`mate_instant(clock_timestamp())`,
    })
    .from(
      sql`(select) as once left join lateral (
        select seq, hash from audit_chain where tenant_id = ${tenantId} order by seq desc limit 1) as head on true`,
    )
  if (!head) throw new Error('a query without a table returned no row')
  return head
}

/** Signs where the tenant's chain stands, and keeps that. */
export async function writeCheckpoint(tx: Tx, tenantId: string): Promise<Checkpoint> {
  return keepStatement(tx, { type: 'checkpoint', tenantId, ...(await readHead(tx, tenantId)) })
}

export async function keepStatement(tx: Tx, statement: Omit<Checkpoint, 'keyId' | 'signature'>): Promise<Checkpoint> {
  const { env, auditSigner } = getRuntime()
  const signed = auditSigner.sign(statement)
  await tx.insert(auditCheckpoints).values({
    ...signed,
    at: sql`${signed.at}::timestamptz`,
    hash: Buffer.from(signed.hash, 'hex'),
    signature: Buffer.from(signed.signature, 'base64url'),
    isPending: Boolean(env.MATE_AUDIT_CHECKPOINT_FILE ?? env.MATE_AUDIT_CHECKPOINT_URL),
  })
  return signed
}

/** The newest statement of this type on a tenant's chain. */
export async function findStatement(tx: Tx, tenantId: string, type: Checkpoint['type']): Promise<Checkpoint | undefined> {
  const [found] = await tx
    .select(checkpointColumns)
    .from(auditCheckpoints)
    .where(and(eq(auditCheckpoints.tenantId, tenantId), eq(auditCheckpoints.type, type)))
    .orderBy(sql`${auditCheckpoints.id} desc`)
    .limit(1)
  return found
}

/** A checkpoint for every tenant whose chain went on since its last one. */
export async function writeCheckpoints(tx: Tx): Promise<void> {
  const due = await tx.select({ tenantId: sql<string>`id` }).from(sql`(
    select t.id from tenants t
      cross join lateral (select seq from audit_chain c where c.tenant_id = t.id order by seq desc limit 1) as head
      left join lateral (select seq from audit_checkpoints p where p.tenant_id = t.id and p.type = 'checkpoint'
        order by p.id desc limit 1) as last on true
    where head.seq > coalesce(last.seq, 0)) as due`)
  for (const { tenantId } of due) await writeCheckpoint(tx, tenantId)
}

const batch = 500
/** What this process wrote to the file already, while the address does not answer. */
const filedUpTo = new WeakMap<Database, number>()

/** Writes what waits to the file and the address of the settings, oldest first; what fails waits for the next time. */
export async function deliverCheckpoints(database: Database): Promise<void> {
  const { db } = database
  const { MATE_AUDIT_CHECKPOINT_FILE: file, MATE_AUDIT_CHECKPOINT_URL: url } = getRuntime().env
  if (!file && !url) return
  const isPending = eq(auditCheckpoints.isPending, true)
  for (;;) {
    const waiting = await db
      .select({ id: auditCheckpoints.id, statement: checkpointColumns })
      .from(auditCheckpoints)
      .where(isPending)
      .orderBy(asc(auditCheckpoints.id))
      .limit(batch)
    if (waiting.length === 0) return
    const lines = (rows: typeof waiting) => rows.map(({ statement }) => `${canonical(statement)}\n`).join('')
    if (file) {
      const from = filedUpTo.get(database) ?? 0
      await append(file, lines(waiting.filter(({ id }) => id > from)))
      filedUpTo.set(database, waiting.at(-1)?.id ?? from)
    }
    if (url) await post(url, lines(waiting))
    await db
      .update(auditCheckpoints)
      .set({ isPending: false })
      .where(
        inArray(
          auditCheckpoints.id,
          waiting.map(({ id }) => id),
        ),
      )
  }
}

async function append(file: string, text: string): Promise<void> {
  const handle = await open(file, 'a', 0o600)
  try {
    await handle.writeFile(text)
    await handle.datasync()
  } finally {
    await handle.close()
  }
}

async function post(url: string, body: string): Promise<void> {
  const headers = { 'content-type': 'application/x-ndjson' }
  const response = await fetch(url, { method: 'POST', headers, body, redirect: 'error', signal: AbortSignal.timeout(5_000) })
  await response.body?.cancel()
  if (!response.ok) throw new Error(`MATE_AUDIT_CHECKPOINT_URL answered ${response.status}`)
}
