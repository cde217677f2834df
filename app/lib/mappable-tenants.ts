// The tenants that an identity provider can let people into.
import type { Api } from '#server/pages.ts'
import { everyPage } from './every-page.ts'

export async function mappableTenants(api: Api): Promise<{ id: string; name: string }[]> {
  const tenants = await everyPage((page) => api.tenants.list(page))
  return tenants
    .filter(({ isActive }) => isActive)
    .map(({ id, name }) => ({ id, name }))
    .toSorted((a, b) => a.name.localeCompare(b.name, 'en'))
}
