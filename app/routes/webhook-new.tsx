import { data, Link } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Button } from '../components/ui/button.tsx'
import { eventsOf, WebhookFields, webhookLabels } from '../components/webhook-fields.tsx'
import { WebhookSecret } from '../components/webhook-secret.tsx'
import { pageContext, problemOf } from '../context.ts'
import { textOf } from '../lib/form-fields.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/webhook-new'

export async function loader({ context }: Route.LoaderArgs) {
  // Asks for nothing, but is refused to those who may not add webhooks.
  await context.get(pageContext).api.webhooks.list({ limit: 1 })
  return null
}

/** Answers the secret itself, not a redirect, as a new key's form does. */
export async function action({ request, context }: Route.ActionArgs) {
  const { api } = context.get(pageContext)
  const form = await request.formData()
  const values = { url: textOf(form, 'url').trim(), description: textOf(form, 'description'), events: eventsOf(form) }
  try {
    const { id, url, secret } = await api.webhooks.create(values)
    return data(
      { created: { id, url, secret }, problem: undefined, values },
      { status: 201, headers: { 'Cache-Control': 'no-store' } },
    )
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ created: undefined, problem, values }, { status: problem.status })
  }
}

export function headers({ actionHeaders }: Route.HeadersArgs) {
  return actionHeaders
}

export const meta: Route.MetaFunction = () => titled('Add a webhook')

export default function NewWebhook({ actionData }: Route.ComponentProps) {
  if (actionData?.created) return <WebhookSecret webhook={actionData.created} />
  const values = actionData?.values ?? { url: '', description: '', events: ['*'] }
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/webhooks">Webhooks</BackLink>
      <PageHeader title="Add a webhook" description="Its signing secret is shown once, on the next page." />
      <PostForm className="grid gap-6">
        <ErrorSummary problem={actionData?.problem} labels={webhookLabels} />
        <WebhookFields values={values} problem={actionData?.problem} />
        <div className="flex gap-2 border-t pt-5">
          <SubmitButton pending="Adding…">Add</SubmitButton>
          <Button asChild variant="ghost">
            <Link to="/webhooks">Cancel</Link>
          </Button>
        </div>
      </PostForm>
    </div>
  )
}
