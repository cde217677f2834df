import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormActions } from '../components/form-actions.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm } from '../components/post-form.tsx'
import { TrustRuleFields } from '../components/trust-rule-fields.tsx'
import { pageContext, problemOf } from '../context.ts'
import { cn } from '../lib/cn.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { fieldProblem, oneOf } from '../lib/form-fields.ts'
import { leadToSignIn, withForm } from '../lib/sign-in-again.ts'
import { titled } from '../lib/titles.ts'
import {
  newTrustRule,
  type Provider,
  providers,
  readTrustRuleForm,
  returnedTrustRule,
  trustRuleLabels,
  trustRuleProblem,
} from '../lib/trust-rule-form.ts'
import type { Route } from './+types/trust-rule-new'

export async function loader({ url, context }: Route.LoaderArgs) {
  const { requireMay, origin, roles, scopes } = context.get(pageContext)
  requireMay('trustRules.create')
  const provider = providerOf(url)
  const values = returnedTrustRule(url) ?? newTrustRule(provider, origin)
  return { provider, roles: roles.filter(({ isGrantable }) => isGrantable), scopes, values }
}

const providerOf = ({ searchParams }: URL) => oneOf<Provider>(searchParams.get('provider') ?? '', ['github', 'gitlab', 'other'])

export async function action({ request, url, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const form = await request.formData()
  const { values, role, input } = readTrustRuleForm(
    form,
    page.roles.map((known) => known.role),
  )
  if (!role) return data({ problem: fieldProblem(page.requestId, 'role', 'Choose a role.'), values }, { status: 400 })
  try {
    const { id, name } = await page.api.trustRules.create({ ...input, role })
    const headers = await flashHeaders(page, `“${name}” is there. What its pipeline needs is below.`)
    return redirect(`/trust-rules/${id}`, { headers })
  } catch (thrown) {
    const problem = trustRuleProblem(problemOf(thrown), values.limits)
    form.set('provider', providerOf(url))
    leadToSignIn(problem, withForm('/trust-rules/new', form))
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = () => titled('Add a trust rule')

export default function NewTrustRule({ loaderData, actionData }: Route.ComponentProps) {
  const { provider, roles, scopes, values } = loaderData
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/trust-rules">Trust Rules</BackLink>
      <PageHeader title="Add a trust rule" description="Which pipeline gets a key, and what the key may do." />
      <ProviderLinks current={provider} />
      <PostForm key={provider} className="grid gap-6">
        <ErrorSummary problem={actionData?.problem} labels={trustRuleLabels} />
        <TrustRuleFields values={actionData?.values ?? values} problem={actionData?.problem} roles={roles} scopes={scopes} />
        <FormActions submit="Add" pending="Adding…" cancelTo="/trust-rules" />
      </PostForm>
    </div>
  )
}

/** Each fills the form with what is the same for all pipelines of the provider. */
function ProviderLinks({ current }: { current: Provider }) {
  return (
    <nav aria-label="Provider" className="mb-6 flex flex-wrap gap-2">
      {Object.entries(providers).map(([provider, { label }]) => (
        <Link
          key={provider}
          to={`?provider=${provider}`}
          aria-current={provider === current ? 'true' : undefined}
          className={cn(
            'rounded-md border bg-card px-3 py-1.5 text-sm hover:bg-muted/60',
            provider === current && 'border-primary bg-primary/5 font-medium',
          )}
        >
          {label}
        </Link>
      ))}
    </nav>
  )
}
