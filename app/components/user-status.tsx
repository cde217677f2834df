import { Badge } from './ui/badge.tsx'

export function UserStatus({ isActive }: { isActive: boolean }) {
  return isActive ? <Badge variant="success">Active</Badge> : <Badge variant="muted">Deactivated</Badge>
}
