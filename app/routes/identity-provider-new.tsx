import { data, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormActions } from '../components/form-actions.tsx'
import { IdentityProviderFields } from '../components/identity-provider-fields.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm } from '../components/post-form.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { newProvider, providerFieldLabels, providerProblem, readProviderForm } from '../lib/identity-provider-form.ts'
import { mappableTenants } from '../lib/mappable-tenants.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/identity-provider-new'

export async function loader({ context }: Route.LoaderArgs) {
  const { api, origin } = context.get(pageContext)
  return { tenants: await mappableTenants(api), redirectUri: `${origin}/sso/callback` }
}

export async function action({ request, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const { values, input } = readProviderForm(await request.formData())
  try {
    const { clientSecret = '' } = input
    const { id, name } = await page.api.identityProviders.create({ ...input, clientSecret, issuer: values.texts.issuer.trim() })
    const notice = `“${name}” is there. Test it, then sign in with it in another window.`
    return redirect(`/identity-providers/${id}`, { headers: await flashHeaders(page, notice) })
  } catch (thrown) {
    const problem = providerProblem(problemOf(thrown), values)
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = () => titled('Add an identity provider')

export default function NewIdentityProvider({ loaderData: { tenants, redirectUri }, actionData }: Route.ComponentProps) {
  const values = actionData?.values ?? newProvider
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/identity-providers">Identity Providers</BackLink>
      <PageHeader title="Add an identity provider" description="Register mate there as a confidential web client first." />
      <PostForm className="grid gap-6">
        <ErrorSummary problem={actionData?.problem} labels={providerFieldLabels(values.mappings.length)} />
        <IdentityProviderFields
          values={values}
          problem={actionData?.problem}
          tenants={tenants}
          isKept={false}
          redirectUri={redirectUri}
        />
        <FormActions submit="Add" pending="Adding…" cancelTo="/identity-providers" />
      </PostForm>
    </div>
  )
}
