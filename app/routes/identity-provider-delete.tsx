import { data, redirect } from 'react-router'
import { ConfirmDelete } from '../components/confirm-delete.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/identity-provider-delete'

export async function loader({ params, context }: Route.LoaderArgs) {
  return { provider: await context.get(pageContext).api.identityProviders.get({ id: params.id }) }
}

export async function action({ params, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  try {
    await page.api.identityProviders.delete({ id: params.id })
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ problem }, { status: problem.status })
  }
  throw redirect('/identity-providers', { headers: await flashHeaders(page, 'The identity provider is deleted.') })
}

export const meta: Route.MetaFunction = () => titled('Delete an identity provider')

export default function DeleteIdentityProvider({ loaderData: { provider }, actionData }: Route.ComponentProps) {
  return (
    <div className="grid gap-6">
      <ErrorSummary problem={actionData?.problem} labels={{}} />
      <ConfirmDelete
        what="identity provider"
        name={provider.name}
        to={`/identity-providers/${provider.id}`}
        consequences={[
          'Nobody signs in with it any more. Sessions that it began go on until they end.',
          'Its people stay. A password lets them in, or another provider that knows their address.',
        ]}
      />
    </div>
  )
}
