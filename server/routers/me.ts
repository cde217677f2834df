// Who is calling.
import { z } from 'zod'
import { procedure } from '../gate.ts'
import { Id, Instant } from '../input.ts'
import { operationsOf } from '../permissions.ts'
import { Role } from '../roles.ts'
import { t } from '../trpc.ts'

const Me = z
  .object({
    kind: z.enum(['key', 'user', 'console']),
    id: z.string(),
    name: z.string(),
    role: Role,
    tenant: z.object({ id: Id, name: z.string() }).describe('The tenant that this request acts in.'),
    expiresAt: Instant.nullable().describe('When the key expires; null for never.'),
    rotatesOutAt: Instant.nullable().describe('When the overlap of a rotated key ends; null for a key that was not rotated.'),
    allowedIps: z.array(z.string()).nullable().describe('The networks that it may be used from; null for anywhere.'),
    requestsPerMinute: z.number().int().nullable().describe('Null for no limit.'),
    scopes: z.array(z.string()).nullable().describe('What it may do of what its role allows; null for all of it.'),
    operations: z.array(z.string()).describe('The operations that it may call, by their tRPC names.'),
  })
  .meta({ id: 'Me' })

export const meRouter = t.router({
  get: procedure
    .meta({
      role: 'Viewer',
      openapi: {
        method: 'GET',
        path: '/me',
        summary: 'Who this key is',
        description: 'The key, its role and tenant, and the operations it may call.',
        tags: ['me'],
      },
    })
    .input(z.strictObject({}))
    .output(Me)
    .query(({ ctx: { principal, tenant } }) => ({
      kind: principal.kind,
      id: principal.id,
      name: principal.name,
      role: principal.role,
      tenant,
      expiresAt: principal.expiresAt?.toISOString() ?? null,
      rotatesOutAt: principal.rotatesOutAt?.toISOString() ?? null,
      ...principal.limits,
      operations: operationsOf({ role: principal.role, scopes: principal.limits.scopes }),
    })),
})
