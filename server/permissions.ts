// What a key or a role may call, and why not: one answer for the pages, REST and /api/me, from the operations' metadata.
import { z } from 'zod'
import { listOperations, type Operation } from './operations.ts'
import { isRoleAtLeast, type Role } from './roles.ts'

/** Who asks what it may call: a role, or a key that has one. */
export interface Holder {
  role: Role
  /** Of a key: one that has ended may nothing. */
  status?: 'active' | 'expired' | 'revoked' | 'rotated'
  /** Of a narrowed key; null is every scope. */
  scopes?: readonly string[] | null
}

export const Permission = z
  .object({
    operation: z.string().describe('Its tRPC name.'),
    summary: z.string(),
    method: z.string(),
    path: z.string(),
    tag: z.string(),
    allowed: z.boolean(),
    reason: z.string().nullable().describe('Why it is not allowed; null when it is.'),
  })
  .meta({ id: 'Permission' })

/** Why the gate would refuse this operation to the holder; null when it would not. */
export function whyNot({ meta, scope }: Pick<Operation, 'meta' | 'scope'>, holder: Holder): string | null {
  const { role, status = 'active', scopes = null } = holder
  if (meta.role === 'Public') return null
  if (status !== 'active') return `The key is ${status === 'rotated' ? 'rotated out' : status}.`
  if (!isRoleAtLeast(role, meta.role)) return `Needs the role ${meta.role}.`
  if (scopes && !scopes.includes(scope)) return `Needs the scope ${scope}.`
  return null
}

/** The operations that the holder may call, by their tRPC names. */
export function operationsOf(holder: Holder): string[] {
  return listOperations().flatMap((operation) => (whyNot(operation, holder) === null ? operation.name : []))
}

/** Every operation, in the order of the API. */
export function permissionsOf(holder: Holder): z.infer<typeof Permission>[] {
  return listOperations().map((operation) => {
    const { summary, method, path, tags } = operation.meta.openapi
    const reason = whyNot(operation, holder)
    return {
      operation: operation.name,
      summary,
      method,
      path: `/api${path}`,
      tag: tags[0] ?? '',
      allowed: reason === null,
      reason,
    }
  })
}
