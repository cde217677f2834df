import type { Role } from '../context.ts'

/** Whether the menu offers the admin's pages. What one may do is decided by each procedure, not here. */
export function isAdminRole(role: Role | undefined): boolean {
  return role === 'TenantAdmin' || role === 'SuperAdmin'
}
