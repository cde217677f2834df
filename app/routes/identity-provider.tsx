import { data, Form, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormActions } from '../components/form-actions.tsx'
import { IdentityProviderFields } from '../components/identity-provider-fields.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm } from '../components/post-form.tsx'
import { Alert, AlertDescription, AlertTitle } from '../components/ui/alert.tsx'
import { Button } from '../components/ui/button.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { textOf } from '../lib/form-fields.ts'
import { providerFieldLabels, providerProblem, readProviderForm, valuesOfProvider } from '../lib/identity-provider-form.ts'
import { mappableTenants } from '../lib/mappable-tenants.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/identity-provider'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  const { api, origin } = context.get(pageContext)
  const provider = await api.identityProviders.get({ id })
  return { provider, tenants: await mappableTenants(api), redirectUri: `${origin}/sso/callback` }
}

export async function action({ request, params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const form = await request.formData()
  if (textOf(form, 'intent') === 'test') {
    const { ok, error } = await page.api.identityProviders.test({ id })
    return data({ test: { ok, error }, problem: undefined, values: undefined })
  }
  const { values, input } = readProviderForm(form)
  try {
    await page.api.identityProviders.update({ id, ...input })
    return redirect(`/identity-providers/${id}`, { headers: await flashHeaders(page, 'The identity provider is saved.') })
  } catch (thrown) {
    const problem = providerProblem(problemOf(thrown), values)
    return data({ test: undefined, problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(loaderData?.provider.name ?? 'Identity provider')

export default function IdentityProviderPage({ loaderData, actionData }: Route.ComponentProps) {
  const { provider, tenants, redirectUri } = loaderData
  const kept = valuesOfProvider(provider)
  const given = actionData?.values
  const values = given ? { ...given, texts: { ...given.texts, issuer: provider.issuer } } : kept
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/identity-providers">Identity Providers</BackLink>
      <PageHeader title={provider.name} description={provider.issuer} actions={<Actions id={provider.id} />} />
      <div className="grid gap-6">
        {actionData?.test && <TestOutcome {...actionData.test} />}
        <PostForm className="grid gap-6">
          <ErrorSummary problem={actionData?.problem} labels={providerFieldLabels(values.mappings.length)} />
          {/* The mappings that were saved leave no trace of those that were on the page. */}
          <IdentityProviderFields
            key={provider.updatedAt}
            values={values}
            problem={actionData?.problem}
            tenants={tenants}
            isKept
            redirectUri={redirectUri}
          />
          <FormActions submit="Save" pending="Saving…" cancelTo="/identity-providers" />
        </PostForm>
      </div>
    </div>
  )
}

function Actions({ id }: { id: string }) {
  return (
    <>
      <Form method="post">
        <Button type="submit" name="intent" value="test" variant="outline" size="sm">
          Test
        </Button>
      </Form>
      <Button asChild variant="outline" size="sm" className="text-destructive hover:text-destructive">
        <Link to={`/identity-providers/${id}/delete`}>Delete</Link>
      </Button>
    </>
  )
}

function TestOutcome({ ok, error }: { ok: boolean; error: string | null }) {
  return (
    <Alert variant={ok ? 'default' : 'destructive'} role="status">
      <AlertTitle>{ok ? 'Its metadata is in order' : 'It can’t be used like this'}</AlertTitle>
      <AlertDescription>
        {ok ? 'Whether the client and its secret are right, a sign-in in another window shows.' : error}
      </AlertDescription>
    </Alert>
  )
}
