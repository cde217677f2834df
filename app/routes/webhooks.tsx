import { data, Link } from 'react-router'
import { ListPage } from '../components/list-page.tsx'
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from '../components/ui/table.tsx'
import { WebhookStatus } from '../components/webhook-status.tsx'
import { pageContext } from '../context.ts'
import type { Webhook } from '../lib/api-types.ts'
import { listOrProblem } from '../lib/list-or-problem.ts'
import { titled } from '../lib/titles.ts'
import { webhookEvents } from '../lib/wording.ts'
import type { Route } from './+types/webhooks'

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api } = context.get(pageContext)
  const cursor = url.searchParams.get('cursor') || undefined
  const { items: webhooks, nextCursor, problem } = await listOrProblem(() => api.webhooks.list({ cursor }))
  return data({ webhooks, nextCursor, problem }, { status: problem?.status ?? 200 })
}

export const meta: Route.MetaFunction = () => titled('Webhooks')

export default function Webhooks({ loaderData: { webhooks, nextCursor, problem } }: Route.ComponentProps) {
  return (
    <ListPage
      title="Webhooks"
      description="mate sends notices, and the audit log as it grows, to addresses of yours: signed, and again until they arrive."
      add={{ to: '/webhooks/new', label: 'Add Webhook' }}
      empty={{
        title: 'No webhooks yet',
        text: 'Add one to be told in your chat, pager or SIEM when a key expires, leaks or is frozen.',
      }}
      isEmpty={webhooks.length === 0}
      problem={problem}
      nextCursor={nextCursor}
    >
      <WebhookTable webhooks={webhooks} />
    </ListPage>
  )
}

function WebhookTable({ webhooks }: { webhooks: Webhook[] }) {
  return (
    <Table>
      <caption className="sr-only">Webhooks</caption>
      <TableHeader>
        <tr>
          <TableHead>Address</TableHead>
          <TableHead>Events</TableHead>
          <TableHead>Status</TableHead>
        </tr>
      </TableHeader>
      <TableBody>
        {webhooks.map((webhook) => (
          <TableRow key={webhook.id}>
            <TableCell className="max-lg:block max-lg:pb-1">
              <Link
                to={`/webhooks/${webhook.id}`}
                className="rounded-sm font-medium wrap-anywhere hover:text-primary hover:underline"
              >
                {webhook.url}
              </Link>
              {webhook.description && <div className="text-xs wrap-anywhere text-muted-foreground">{webhook.description}</div>}
            </TableCell>
            <TableCell data-label="Events">
              <span>{webhook.events.map((event) => webhookEvents[event]).join(' · ')}</span>
            </TableCell>
            <TableCell data-label="Status">
              <WebhookStatus webhook={webhook} />
            </TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  )
}
