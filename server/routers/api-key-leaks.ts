// Keys that somebody found where they do not belong: whoever holds one may end it.
import { and, eq } from 'drizzle-orm'
import { z } from 'zod'
import { apiKeys } from '#db/schema.ts'
import { notify } from '../notices.ts'
import { findReportedKey } from '../principal.ts'
import { publicProcedure } from '../public-gate.ts'
import { t } from '../trpc.ts'
import { entityOf, getKey, lockPrincipals, revokedBy } from './api-key-records.ts'

const answer = { detail: 'Thank you. If this was a live key, it is revoked now.' }

export const apiKeyLeaksRouter = t.router({
  reportLeak: publicProcedure
    .meta({
      role: 'Public',
      limit: 'MATE_LEAK_REPORTS',
      audit: 'api_key.leaked',
      openapi: {
        method: 'POST',
        path: '/keys/report-leak',
        summary: 'Report a leaked key',
        description:
          'For whoever found a key where it does not belong; no credential is needed. A live key is revoked before this answers. The answer is the same whether or not there is such a key.',
        tags: ['api-keys'],
        status: 202,
      },
    })
    .input(z.strictObject({ key: z.string().max(1_000).describe('The whole key.') }))
    .output(z.object({ detail: z.string() }))
    .mutation(async ({ ctx: { tx, record }, input: { key } }) => {
      // Not asked for its form first: every text costs the same look-up.
      const found = await findReportedKey(tx, key.trim())
      if (!found) return answer
      const { id, tenantId } = found
      await lockPrincipals(tx, id)
      const before = await getKey(tx, tenantId, id, true)
      if (before.status !== 'active') return answer
      const reason = 'Reported as leaked.'
      await tx
        .update(apiKeys)
        .set(revokedBy({ id: 'system', name: 'a leak report' }, reason))
        .where(and(eq(apiKeys.tenantId, tenantId), eq(apiKeys.id, id)))
      record(tenantId, {
        entity: entityOf(before),
        before: { status: before.status },
        after: { status: 'revoked' },
        reason,
      })
      await notify(tx, { kind: 'api_key.leaked', tenantId, about: { id, name: before.name } })
      return answer
    }),
})
