import type { KeyStatus as Status } from '../lib/api-types.ts'
import { statusLabel } from '../lib/wording.ts'
import { Badge } from './ui/badge.tsx'

const variants = { active: 'success', expired: 'warning', revoked: 'muted', rotated: 'muted' } as const satisfies Record<
  Status,
  string
>

export function KeyStatus({ status }: { status: Status }) {
  return <Badge variant={variants[status]}>{statusLabel(status)}</Badge>
}
