import { data, Link } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { Consequences } from '../components/consequences.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { WebhookSecret } from '../components/webhook-secret.tsx'
import { pageContext } from '../context.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/webhook-rotate-secret'

export async function loader({ params, context }: Route.LoaderArgs) {
  return { webhook: await context.get(pageContext).api.webhooks.get({ id: params.id }) }
}

export async function action({ params, context }: Route.ActionArgs) {
  const { id, url, secret } = await context.get(pageContext).api.webhooks.rotate({ id: params.id })
  return data({ id, url, secret }, { headers: { 'Cache-Control': 'no-store' } })
}

export function headers({ actionHeaders }: Route.HeadersArgs) {
  return actionHeaders
}

export const meta: Route.MetaFunction = () => titled('Rotate a secret')

export default function RotateSecret({ loaderData: { webhook }, actionData }: Route.ComponentProps) {
  if (actionData) {
    return <WebhookSecret webhook={actionData} note="For 24 hours deliveries are signed with the secret before this one too." />
  }
  return (
    <div className="mx-auto max-w-xl">
      <BackLink to={`/webhooks/${webhook.id}`}>The webhook</BackLink>
      <PageHeader title="Rotate the signing secret?" description={<span className="wrap-anywhere">{webhook.url}</span>} />
      <Card>
        <Consequences>
          <li>The new secret is shown once, on the next page.</li>
          <li>For 24 hours each delivery has two signatures, so that the receiver can change over in its own time.</li>
        </Consequences>
        <PostForm className="flex gap-2">
          <SubmitButton pending="Rotating…">Rotate secret</SubmitButton>
          <Button asChild variant="ghost">
            <Link to={`/webhooks/${webhook.id}`}>Cancel</Link>
          </Button>
        </PostForm>
      </Card>
    </div>
  )
}
