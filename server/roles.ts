// The four roles, least first: the only place that names or orders them.
import { z } from 'zod'

export const roles = ['Viewer', 'Tester', 'TenantAdmin', 'SuperAdmin'] as const

export type Role = (typeof roles)[number]

/** @internal The published client's declarations leave it out, so that they need no zod. */
export const Role = z.enum(roles)

/** What each role permits, in the words that the pages and the OpenAPI document show. */
export const rolePermissions: Record<Role, string> = {
  Viewer: 'Read-only access',
  Tester: 'Viewer access + execute test runs',
  TenantAdmin: 'Full tenant-level management',
  SuperAdmin: 'Full global access',
}

/** What an operation asks for: a role, or nothing at all, not even a credential. */
export type NeededRole = Role | 'Public'

/** True when `held` may do what `needed` asks for. */
export function isRoleAtLeast(held: Role, needed: NeededRole): boolean {
  return needed === 'Public' || roles.indexOf(held) >= roles.indexOf(needed)
}

/** The roles that a holder of `held` may grant: never one above its own. */
export function grantableRoles(held: Role): Role[] {
  return roles.filter((role) => isRoleAtLeast(held, role))
}
