// Who is calling.
import { z } from 'zod'
import { procedure } from '../gate.ts'
import { Id, Instant } from '../input.ts'
import { operationsOf } from '../operations.ts'
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
    operations: z.array(z.string()).describe('The operations that this role may call, by their tRPC names.'),
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
      operations: operationsOf(principal.role),
    })),
})
