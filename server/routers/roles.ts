// The roles, and what each may call.
import { z } from 'zod'
import { procedure } from '../gate.ts'
import { Permission, permissionsOf } from '../permissions.ts'
import { Role, rolePermissions, roles } from '../roles.ts'
import { t } from '../trpc.ts'

const RoleDetails = z.object({ role: Role, permits: z.string(), operations: z.array(Permission) }).meta({ id: 'RoleDetails' })

export const rolesRouter = t.router({
  list: procedure
    .meta({
      role: 'Viewer',
      openapi: {
        method: 'GET',
        path: '/roles',
        summary: 'List the roles',
        description: 'The four roles, least first, each with every operation, whether it may call it, and why not.',
        tags: ['roles'],
      },
    })
    .input(z.strictObject({}))
    .output(z.object({ items: z.array(RoleDetails) }))
    .query(() => ({
      items: roles.map((role) => ({ role, permits: rolePermissions[role], operations: permissionsOf({ role }) })),
    })),
})
