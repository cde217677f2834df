import type { Tenant } from '../lib/api-types.ts'
import { Badge } from './ui/badge.tsx'

export function TenantStatus({ tenant: { isActive } }: { tenant: Pick<Tenant, 'isActive'> }) {
  return isActive ? <Badge variant="success">Active</Badge> : <Badge variant="destructive">Deactivated</Badge>
}
