import type { KeyStatus as Status } from '../lib/api-types.ts'
import { capitalised } from '../lib/wording.ts'
import { Badge } from './ui/badge.tsx'

const variants = { active: 'success', expired: 'warning', revoked: 'muted' } as const satisfies Record<Status, string>

export function KeyStatus({ status }: { status: Status }) {
  return <Badge variant={variants[status]}>{capitalised(status)}</Badge>
}
