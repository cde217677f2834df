// For the bad day: freeze every key of a tenant, revoke many at once.
import { createHash } from 'node:crypto'
import { TRPCError } from '@trpc/server'
import { and, asc, eq, inArray, ne, type SQL, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { apiKeys, tenants } from '#db/schema.ts'
import { procedure } from '../gate.ts'
import { Id, Instant, line } from '../input.ts'
import { notify } from '../notices.ts'
import type { Principal } from '../principal.ts'
import { grantableRoles, Role } from '../roles.ts'
import { t } from '../trpc.ts'
import {
  type ApiKey,
  columns,
  entityOf,
  KeyFilter,
  lockPrincipals,
  matches,
  now,
  revokedBy,
  statusIs,
  toApiKey,
} from './api-key-records.ts'

const openapi = { tags: ['api-keys'], method: 'POST' as const }
const reason = line(500, 0).optional().describe('Why, for the audit log.')

const Freeze = z
  .object({
    frozenAt: Instant.nullable().describe('Since when every key of the tenant is refused; null when they work.'),
    frozenBy: z.string().nullable(),
    frozenReason: z.string().nullable(),
  })
  .meta({ id: 'KeyFreeze' })

async function readFreeze(tx: Tx, tenantId: string): Promise<z.infer<typeof Freeze>> {
  const [row] = await tx
    .select({ at: tenants.keysFrozenAt, by: tenants.keysFrozenByName, reason: tenants.keysFrozenReason })
    .from(tenants)
    .where(eq(tenants.id, tenantId))
  if (!row) throw new Error('the tenant has no row')
  return { frozenAt: row.at?.toISOString() ?? null, frozenBy: row.by, frozenReason: row.reason }
}

const getFreeze = procedure
  .meta({
    role: 'TenantAdmin',
    openapi: {
      ...openapi,
      method: 'GET',
      path: '/admin/api-keys/freeze',
      summary: 'See whether all API keys are frozen',
      description: 'Since when, by whom and why; all null while the keys work.',
    },
  })
  .input(z.strictObject({}))
  .output(Freeze)
  .query(({ ctx: { tx, tenant } }) => readFreeze(tx, tenant.id))

const freeze = procedure
  .meta({
    role: 'TenantAdmin',
    audit: 'tenant.keys_frozen',
    locksKeys: true,
    openapi: {
      ...openapi,
      path: '/admin/api-keys/freeze',
      summary: 'Freeze all API keys',
      description:
        'Every key of the tenant is refused until an unfreeze. Once this has answered, nothing that one of them asked for can commit, on any node. A key that asks for it is frozen too: a person undoes it on the API Keys page, or a SuperAdmin’s key of another tenant.',
    },
  })
  .input(z.strictObject({ reason }))
  .output(Freeze.extend({ notice: z.string().describe('Who can undo it.') }).meta({ id: 'NewKeyFreeze' }))
  .mutation(async ({ ctx: { tx, principal, tenant, audit }, input }) => {
    await tx.execute(sql`select pg_advisory_xact_lock(mate_freeze_lock(${tenant.id}::uuid))`)
    const isOwn = principal.kind === 'key' && principal.tenantId === tenant.id
    const notice = `Every key of the tenant is refused from now on${isOwn ? ', this one too' : ''}. An admin unfreezes them on the API Keys page, a SuperAdmin also with a key of another tenant.`
    const before = await readFreeze(tx, tenant.id)
    if (before.frozenAt !== null) {
      audit.unchanged()
      return { ...before, notice }
    }
    await tx
      .update(tenants)
      .set({ keysFrozenAt: now, keysFrozenByName: principal.name, keysFrozenReason: input.reason || null })
      .where(eq(tenants.id, tenant.id))
    const after = await readFreeze(tx, tenant.id)
    const change = { before: { frozenAt: null }, after: { frozenAt: after.frozenAt } }
    audit.record({ entity: { type: 'tenant', ...tenant }, ...change, ...(input.reason ? { reason: input.reason } : {}) })
    await notify(tx, {
      kind: 'api_keys.frozen',
      tenantId: tenant.id,
      facts: { by: principal.name, reason: input.reason || null },
    })
    return { ...after, notice }
  })

const unfreeze = procedure
  .meta({
    role: 'TenantAdmin',
    audit: 'tenant.keys_unfrozen',
    locksKeys: true,
    openapi: {
      ...openapi,
      path: '/admin/api-keys/unfreeze',
      summary: 'Unfreeze all API keys',
      description:
        'The keys work again, but for those that have ended. The keys of the tenant are frozen and can’t ask for it: a person does, or a SuperAdmin’s key of another tenant, with X-Tenant-Id.',
    },
  })
  .input(z.strictObject({ reason }))
  .output(Freeze)
  .mutation(async ({ ctx: { tx, principal, tenant, audit }, input }) => {
    await tx.execute(sql`select pg_advisory_xact_lock(mate_freeze_lock(${tenant.id}::uuid))`)
    const before = await readFreeze(tx, tenant.id)
    if (before.frozenAt === null) {
      audit.unchanged()
      return before
    }
    await tx
      .update(tenants)
      .set({ keysFrozenAt: null, keysFrozenByName: null, keysFrozenReason: null })
      .where(eq(tenants.id, tenant.id))
    const change = { before: { frozenAt: before.frozenAt }, after: { frozenAt: null } }
    audit.record({ entity: { type: 'tenant', ...tenant }, ...change, ...(input.reason ? { reason: input.reason } : {}) })
    await notify(tx, {
      kind: 'api_keys.unfrozen',
      tenantId: tenant.id,
      facts: { by: principal.name, reason: input.reason || null },
    })
    return readFreeze(tx, tenant.id)
  })

const maxAtOnce = 1_000

const Chosen = z.object({ id: Id, name: z.string(), prefix: z.string(), role: Role, lastUsedAt: Instant.nullable() })

const bulkRevoke = procedure
  .meta({
    role: 'TenantAdmin',
    audit: 'api_key.revoked',
    openapi: {
      ...openapi,
      path: '/admin/api-keys/bulk-revoke',
      conflicts: true,
      summary: 'Revoke many API keys',
      description:
        'Two steps. With `dryRun` it answers which active keys match, at most 1,000, and a `digest` of them. Sent again with that digest and without `dryRun`, it revokes exactly these, all or none, with one audit entry each; when the keys that match are others by then, it is 409 and revokes none. Keys above the caller’s role and the key that asks are left out.',
    },
  })
  .input(
    z
      .strictObject({
        ...KeyFilter,
        ids: z.array(Id).min(1).max(maxAtOnce).optional().describe('Only these.'),
        reason,
        dryRun: z.boolean().default(false).describe('Only say which keys match.'),
        digest: z.string().max(100).optional().describe('As the dry run answered it.'),
      })
      .refine(({ dryRun, digest }) => dryRun || digest !== undefined, {
        path: ['digest'],
        message: 'Send dryRun: true first, look at the keys, and send its digest.',
      }),
  )
  .output(
    z
      .object({
        isRevoked: z.boolean().describe('False in a dry run.'),
        count: z.number().int(),
        digest: z.string(),
        hasMore: z.boolean().describe('More than 1,000 match: these are the oldest.'),
        leftOut: z.number().int().describe('How many match that are above the caller’s role.'),
        keys: z.array(Chosen),
      })
      .meta({ id: 'BulkRevocation' }),
  )
  .mutation(async ({ ctx: { tx, principal, tenant, audit }, input }) => {
    const which = whichOf(tenant.id, principal, input)
    const chosen = await choose(tx, which.mayRevoke)
    const leftOut = await tx.$count(apiKeys, which.above)
    const answer = { ...describeChoice(chosen), leftOut }
    if (input.dryRun) {
      audit.unchanged()
      return { isRevoked: false, ...answer }
    }
    requireSame(input.digest, answer.digest)
    const ids = answer.keys.map(({ id }) => id)
    await lockPrincipals(tx, ...ids)
    const locked = await choose(tx, which.mayRevoke)
    requireSame(input.digest, describeChoice(locked).digest)
    if (ids.length === 0) audit.unchanged()
    else {
      await tx
        .update(apiKeys)
        .set(revokedBy(principal, input.reason))
        .where(and(eq(apiKeys.tenantId, tenant.id), inArray(apiKeys.id, ids)))
    }
    const change = {
      before: { status: 'active' },
      after: { status: 'revoked' },
      ...(input.reason ? { reason: input.reason } : {}),
    }
    for (const key of locked.slice(0, maxAtOnce)) audit.record({ entity: entityOf(key), ...change })
    return { isRevoked: true, ...answer }
  })

type Filter = Parameters<typeof matches>[0] & { ids?: string[] | undefined }

function whichOf(tenantId: string, principal: Principal, filter: Filter) {
  const roles = grantableRoles(principal.role)
  const all = and(
    eq(apiKeys.tenantId, tenantId),
    statusIs.active,
    matches(filter),
    filter.ids && inArray(apiKeys.id, filter.ids),
    principal.kind === 'key' ? ne(apiKeys.id, principal.id) : undefined,
  )
  return { mayRevoke: and(all, inArray(apiKeys.role, roles)), above: and(all, sql`not ${inArray(apiKeys.role, roles)}`) }
}

async function choose(tx: Tx, which: SQL | undefined): Promise<ApiKey[]> {
  const rows = await tx
    .select(columns)
    .from(apiKeys)
    .where(which)
    .orderBy(asc(apiKeys.createdAt), asc(apiKeys.id))
    .limit(maxAtOnce + 1)
  return rows.map(toApiKey)
}

function describeChoice(chosen: ApiKey[]) {
  const keys = chosen.slice(0, maxAtOnce)
  const ids = keys.map(({ id }) => id).sort()
  return {
    count: keys.length,
    digest: createHash('sha256').update(ids.join()).digest('base64url'),
    hasMore: chosen.length > maxAtOnce,
    keys: keys.map(({ id, name, prefix, role, lastUsedAt }) => ({ id, name, prefix, role, lastUsedAt })),
  }
}

function requireSame(expected: string | undefined, digest: string): void {
  if (expected === digest) return
  const message = 'Other keys match now than in the dry run, so none was revoked. Look at them again, and send the new digest.'
  throw new TRPCError({ code: 'CONFLICT', message })
}

export const apiKeyEmergenciesRouter = t.router({ getFreeze, freeze, unfreeze, bulkRevoke })
