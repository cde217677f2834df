import { redirect } from 'react-router'
import { ConfirmDelete } from '../components/confirm-delete.tsx'
import { pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/trust-rule-delete'

export async function loader({ params, context }: Route.LoaderArgs) {
  return { rule: await context.get(pageContext).api.trustRules.get({ id: params.id }) }
}

export async function action({ params, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  await page.api.trustRules.delete({ id: params.id })
  throw redirect('/trust-rules', { headers: await flashHeaders(page, 'The trust rule is deleted.') })
}

export const meta: Route.MetaFunction = () => titled('Delete a trust rule')

export default function DeleteTrustRule({ loaderData: { rule } }: Route.ComponentProps) {
  return (
    <ConfirmDelete
      what="trust rule"
      name={rule.name}
      to={`/trust-rules/${rule.id}`}
      consequences={[
        'Its pipelines get no more keys.',
        'The keys that it gave out are revoked, and runs that they asked for end.',
      ]}
    />
  )
}
