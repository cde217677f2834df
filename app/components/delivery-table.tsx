import { Form } from 'react-router'
import type { Delivery } from '../lib/api-types.ts'
import { deliveryEvents } from '../lib/wording.ts'
import { LocalTime } from './local-time.tsx'
import { Button } from './ui/button.tsx'
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from './ui/table.tsx'
import { DeliveryStatus } from './webhook-status.tsx'

export function DeliveryTable({ deliveries }: { deliveries: Delivery[] }) {
  return (
    <Table>
      <caption className="sr-only">Deliveries</caption>
      <TableHeader>
        <tr>
          <TableHead>Made</TableHead>
          <TableHead>Event</TableHead>
          <TableHead>Status</TableHead>
          <TableHead>Last attempt</TableHead>
          <TableHead>
            <span className="sr-only">Actions</span>
          </TableHead>
        </tr>
      </TableHeader>
      <TableBody>
        {deliveries.map((delivery) => (
          <TableRow key={delivery.id}>
            <TableCell data-label="Made">
              <LocalTime instant={delivery.createdAt} />
            </TableCell>
            <TableCell data-label="Event">{deliveryEvents[delivery.event] ?? delivery.event}</TableCell>
            <TableCell data-label="Status">
              <DeliveryStatus status={delivery.status} />
            </TableCell>
            <TableCell data-label="Last attempt">
              <LastAttempt delivery={delivery} />
            </TableCell>
            <TableCell className="max-lg:block max-lg:pt-2 lg:text-right">
              <Form method="post">
                <input type="hidden" name="deliveryId" value={delivery.id} />
                <Button type="submit" name="intent" value="redeliver" variant="ghost" size="xs" className="max-lg:border">
                  Send again<span className="sr-only"> the event {delivery.id}</span>
                </Button>
              </Form>
            </TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  )
}

function LastAttempt({ delivery: { attempts, responseStatus, durationMs, error, nextAttemptAt } }: { delivery: Delivery }) {
  if (attempts === 0) return <span className="text-muted-foreground">Not yet</span>
  const facts = [`attempt ${attempts}`, responseStatus && `status ${responseStatus}`, durationMs !== null && `${durationMs} ms`]
  return (
    <div>
      {error && <div className="wrap-anywhere">{error}</div>}
      <div className="text-xs text-muted-foreground">{facts.filter(Boolean).join(' · ')}</div>
      {nextAttemptAt && (
        <div className="text-xs text-muted-foreground">
          next <LocalTime instant={nextAttemptAt} />
        </div>
      )}
    </div>
  )
}
