import type { Delivery, Webhook } from '../lib/api-types.ts'
import { Badge } from './ui/badge.tsx'

export function WebhookStatus({ webhook: { isActive, deactivatedReason, failingSince } }: { webhook: Webhook }) {
  if (deactivatedReason) return <Badge variant="destructive">Deactivated</Badge>
  if (!isActive) return <Badge variant="muted">Inactive</Badge>
  return failingSince ? <Badge variant="warning">Failing</Badge> : <Badge variant="success">Active</Badge>
}

const variants = { delivered: 'success', pending: 'warning', failed: 'destructive' } as const
const words = { delivered: 'Delivered', pending: 'Waiting', failed: 'Failed' } as const

export function DeliveryStatus({ status }: { status: Delivery['status'] }) {
  return <Badge variant={variants[status]}>{words[status]}</Badge>
}
