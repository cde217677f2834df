import { redirect } from 'react-router'
import { ConfirmDelete } from '../components/confirm-delete.tsx'
import { pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/webhook-delete'

export async function loader({ params, context }: Route.LoaderArgs) {
  return { webhook: await context.get(pageContext).api.webhooks.get({ id: params.id }) }
}

export async function action({ params, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  await page.api.webhooks.delete({ id: params.id })
  throw redirect('/webhooks', { headers: await flashHeaders(page, 'The webhook is deleted.') })
}

export const meta: Route.MetaFunction = () => titled('Delete a webhook')

export default function DeleteWebhook({ loaderData: { webhook } }: Route.ComponentProps) {
  return (
    <ConfirmDelete
      what="webhook"
      name={webhook.url}
      to={`/webhooks/${webhook.id}`}
      consequences={[
        'Nothing is sent there any more, not even what is on its way.',
        'The list of its deliveries goes with it. To keep that, set it inactive instead.',
      ]}
    />
  )
}
