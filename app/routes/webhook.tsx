import { CircleAlertIcon, ScrollTextIcon } from 'lucide-react'
import { data, Form, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { DeliveryTable } from '../components/delivery-table.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { EmptyState, Pagination } from '../components/list-chrome.tsx'
import { LocalTime, TimeZoneNote } from '../components/local-time.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Alert, AlertDescription, AlertTitle } from '../components/ui/alert.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card, CardTitle } from '../components/ui/card.tsx'
import { eventsOf, WebhookFields, webhookLabels } from '../components/webhook-fields.tsx'
import { type Problem, pageContext, problemOf } from '../context.ts'
import type { Webhook } from '../lib/api-types.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { textOf } from '../lib/form-fields.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/webhook'

export async function loader({ url, params: { id }, context }: Route.LoaderArgs) {
  const { api } = context.get(pageContext)
  const webhook = await api.webhooks.get({ id })
  const cursor = url.searchParams.get('cursor') || undefined
  const { items, nextCursor } = await api.webhooks.listDeliveries({ id, cursor, limit: 20 })
  return { webhook, deliveries: items, nextCursor }
}

export async function action({ request, params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const { webhooks } = page.api
  const form = await request.formData()
  const back = async (notice: string) => redirect(`/webhooks/${id}`, { headers: await flashHeaders(page, notice) })
  const values = { url: textOf(form, 'url').trim(), description: textOf(form, 'description'), events: eventsOf(form) }
  try {
    switch (textOf(form, 'intent')) {
      case 'test':
        await webhooks.test({ id })
        return back('A test event is on its way. See its delivery below in a moment.')
      case 'redeliver':
        await webhooks.redeliver({ id, deliveryId: textOf(form, 'deliveryId') })
        return back('The event is sent again. See its delivery below in a moment.')
      default:
        await webhooks.update({ id, ...values, isActive: textOf(form, 'isActive') === 'yes' })
        return back('The webhook is saved.')
    }
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = () => titled('Webhook')

export default function WebhookPage({ loaderData: { webhook, deliveries, nextCursor }, actionData }: Route.ComponentProps) {
  return (
    <div className="mx-auto max-w-4xl">
      <BackLink to="/webhooks">Webhooks</BackLink>
      <PageHeader title={webhook.url} description={webhook.description} actions={<Actions id={webhook.id} />} />
      <div className="grid gap-5">
        <Trouble webhook={webhook} />
        <Card className="gap-0 overflow-hidden p-0 sm:p-0">
          <CardTitle className="border-b px-4 py-3">Deliveries</CardTitle>
          {deliveries.length > 0 ? (
            <DeliveryTable deliveries={deliveries} />
          ) : (
            <EmptyState title="Nothing sent yet">
              <p>Send a test event to see whether it arrives.</p>
            </EmptyState>
          )}
        </Card>
        <div className="-mt-2 flex min-h-8 flex-wrap items-center justify-between gap-3">
          <TimeZoneNote />
          <Pagination nextCursor={nextCursor} />
        </div>
        <EditForm webhook={webhook} problem={actionData?.problem} values={actionData?.values} />
      </div>
    </div>
  )
}

function Actions({ id }: { id: string }) {
  return (
    <>
      <Form method="post">
        <Button type="submit" name="intent" value="test" variant="outline" size="sm">
          Send test event
        </Button>
      </Form>
      <Button asChild variant="outline" size="sm">
        <Link to={`/webhooks/${id}/rotate-secret`}>Rotate secret</Link>
      </Button>
      <Button asChild variant="outline" size="sm" className="text-destructive hover:text-destructive">
        <Link to={`/webhooks/${id}/delete`}>Delete</Link>
      </Button>
    </>
  )
}

function Trouble({ webhook: { isActive, deactivatedReason, failingSince, previousSecretUntil } }: { webhook: Webhook }) {
  if (deactivatedReason) {
    return (
      <Alert variant="destructive">
        <CircleAlertIcon aria-hidden="true" />
        <AlertTitle>This webhook was deactivated</AlertTitle>
        <AlertDescription>{deactivatedReason} Mend the receiver, then set the webhook active below.</AlertDescription>
      </Alert>
    )
  }
  if (isActive && failingSince) {
    return (
      <Alert variant="warning">
        <CircleAlertIcon aria-hidden="true" />
        <AlertTitle>
          Every delivery has failed since <LocalTime instant={failingSince} />
        </AlertTitle>
        <AlertDescription>After five days of it the webhook is deactivated.</AlertDescription>
      </Alert>
    )
  }
  if (!previousSecretUntil) return null
  return (
    <p className="text-sm text-muted-foreground">
      Deliveries are signed with the secret before this one too, until <LocalTime instant={previousSecretUntil} />.
    </p>
  )
}

interface EditFormProps {
  webhook: Webhook
  problem: Problem | undefined
  values: { url: string; description: string; events: string[] } | undefined
}

function EditForm({ webhook, problem, values = webhook }: EditFormProps) {
  return (
    <Card>
      <CardTitle>Settings</CardTitle>
      <PostForm className="grid gap-5">
        <ErrorSummary problem={problem} labels={webhookLabels} />
        <WebhookFields values={values} problem={problem} />
        <label className="flex items-start gap-2.5 border-t pt-5 text-sm">
          <input
            type="checkbox"
            name="isActive"
            value="yes"
            defaultChecked={webhook.isActive}
            className="mt-0.5 size-4 shrink-0 accent-primary"
          />
          Active. What happens while it is not waits, and is sent once it is.
        </label>
        <div className="flex flex-wrap items-center justify-between gap-3">
          <SubmitButton variant="outline" pending="Saving…">
            Save
          </SubmitButton>
          <Button asChild variant="link" size="xs">
            <Link to={`/audit-log?search=${webhook.id}`}>
              <ScrollTextIcon aria-hidden="true" />
              Its entries in the audit log
            </Link>
          </Button>
        </div>
      </PostForm>
    </Card>
  )
}
