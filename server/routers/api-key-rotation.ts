// Rotation of an API key: a successor with the same name, role and limits, and a while in which both work.
import { TRPCError } from '@trpc/server'
import { and, eq, sql } from 'drizzle-orm'
import { z } from 'zod'
import type { Tx } from '#db/client.ts'
import { apiKeys } from '#db/schema.ts'
import { generateApiKey } from '../api-key.ts'
import { requireFreshToMint } from '../fresh-sign-in.ts'
import { procedure } from '../gate.ts'
import { Id } from '../input.ts'
import { requireQuota } from '../quotas.ts'
import { getRuntime } from '../runtime.ts'
import { t } from '../trpc.ts'
import {
  type ApiKey,
  columns,
  entityOf,
  getKey,
  limitsSet,
  lockPrincipals,
  NewApiKey,
  now,
  requireFreeName,
  requireMayChange,
  requireMayGrant,
  requireMayLimit,
  toApiKey,
} from './api-key-records.ts'

const rotate = procedure
  .meta({
    role: 'TenantAdmin',
    audit: 'api_key.rotated',
    shownOnce: 'key',
    openapi: {
      tags: ['api-keys'],
      method: 'POST',
      path: '/admin/api-keys/{id}/rotate',
      summary: 'Rotate an API key',
      description:
        'Makes a successor with the same name, role, limits and lifetime, and answers it with its key, the only time it is ever shown. The old key works until the overlap ends; with an overlap of 0, nothing that it asked for can commit once this has answered. A key is rotated once: a second time is 409 and names the successor.',
      status: 201,
      conflicts: true,
      location: '/admin/api-keys/{id}',
    },
  })
  .input(
    z.strictObject({
      id: Id,
      overlapHours: z.number().min(0).max(168).default(24).describe('How long the old key still works: 0 to 168 hours.'),
    }),
  )
  .output(NewApiKey)
  .mutation(async ({ ctx: { tx, principal, tenant, audit }, input: { id, overlapHours } }) => {
    const seen = await getKey(tx, tenant.id, id)
    requireMayChange(principal, seen)
    if (overlapHours === 0) await lockPrincipals(tx, id)
    const old = await getKey(tx, tenant.id, id, true)
    await requireRotatable(tx, tenant.id, old)
    // Whoever rotates a key is shown its successor, and so must be allowed to make it.
    requireMayGrant(principal, old.role)
    await requireFreshToMint(tx, principal, old.role)
    const { allowedIps, requestsPerMinute, scopes } = old
    const limits = requireMayLimit(principal, { allowedIps, requestsPerMinute, scopes })
    // The successor takes the place of a key that is active; an expired one has none any more.
    if (old.status !== 'active') await requireQuota(tx, tenant.id, 'maxApiKeys')
    await requireFreeName(tx, old.name, id)
    const { key, hash, prefix } = generateApiKey()
    const [row] = await tx
      .insert(apiKeys)
      .values({
        tenantId: tenant.id,
        name: old.name,
        prefix,
        keyHash: hash,
        role: old.role,
        expiresAt: sql`${now} + ${lifetimeOf(old)}::interval`,
        ...limits,
        replacesId: id,
        trustRuleId: old.trustRuleId,
        createdByKind: principal.kind,
        createdById: principal.id,
        createdByName: principal.name,
        ownerId: principal.ownerId,
      })
      .returning(columns)
    if (!row) throw new Error('the insert returned no row')
    const made = toApiKey(row)
    await tx
      .update(apiKeys)
      .set({ replacedById: made.id, rotatesOutAt: sql`${now} + make_interval(secs => ${overlapHours * 3_600})` })
      .where(and(eq(apiKeys.tenantId, tenant.id), eq(apiKeys.id, id)))
    const { rotatesOutAt } = await getKey(tx, tenant.id, id)
    const successor = { successorId: made.id, prefix, role: made.role, expiresAt: made.expiresAt, ...limitsSet(limits) }
    audit.record({ entity: entityOf(old), after: { rotatesOutAt, ...successor } })
    return { ...made, key }
  })

export const apiKeyRotationRouter = t.router({ rotate })

/** @throws TRPCError CONFLICT. An expired key can be rotated: that is how one notices. */
async function requireRotatable(tx: Tx, tenantId: string, { status, name, replacedById, rotatesOutAt }: ApiKey): Promise<void> {
  if (status === 'revoked') {
    const message = 'The key is revoked, and a revoked key is not brought back. Generate another one.'
    throw new TRPCError({ code: 'CONFLICT', message })
  }
  if (rotatesOutAt === null) return
  const successor = replacedById === null ? undefined : await getKey(tx, tenantId, replacedById)
  const which = successor ? `Its successor is “${successor.name}”, ${successor.prefix}…, id ${successor.id}. Rotate that one` : ''
  const message = `The key “${name}” was rotated before. ${which || 'Its successor is deleted. Generate another key'}.`
  throw new TRPCError({ code: 'CONFLICT', message })
}

/** As long as the old key was given, and no longer than the deployment allows; null is for ever. */
function lifetimeOf({ createdAt, expiresAt }: ApiKey): string | null {
  const maxDays = getRuntime().env.MATE_MAX_KEY_DAYS
  const givenMs = expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(expiresAt) - Date.parse(createdAt)
  const ms = Math.min(givenMs, maxDays === undefined ? Number.POSITIVE_INFINITY : maxDays * 86_400_000)
  return ms === Number.POSITIVE_INFINITY ? null : `${ms} milliseconds`
}
