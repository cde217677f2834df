// Who a leaving person's keys can be transferred to.
import type { Api } from '#server/pages.ts'
import type { User } from './api-types.ts'
import { everyPage } from './every-page.ts'
import { isAdminRole } from './roles.ts'

/** The other active admins of the tenant. */
export async function heirsOf(api: Api, user: User): Promise<User[]> {
  const people = await everyPage((page) => api.users.list({ ...page, isActive: true }))
  return people.filter(({ id, role }) => id !== user.id && isAdminRole(role))
}
