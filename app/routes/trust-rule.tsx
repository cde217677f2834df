import { KeyRoundIcon, ScrollTextIcon } from 'lucide-react'
import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { CheckField } from '../components/check-field.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { TrustRuleFields } from '../components/trust-rule-fields.tsx'
import { TrustRuleSetup } from '../components/trust-rule-setup.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card, CardTitle } from '../components/ui/card.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { fieldProblem } from '../lib/form-fields.ts'
import { leadToSignIn, withForm } from '../lib/sign-in-again.ts'
import { titled } from '../lib/titles.ts'
import { readTrustRuleForm, returnedTrustRule, trustRuleLabels, trustRuleProblem, valuesOfRule } from '../lib/trust-rule-form.ts'
import type { Route } from './+types/trust-rule'

export async function loader({ params: { id }, url, context }: Route.LoaderArgs) {
  const { api, origin, roles, scopes } = context.get(pageContext)
  const rule = await api.trustRules.get({ id })
  const values = returnedTrustRule(url) ?? valuesOfRule(rule)
  return { rule, origin, roles: roles.filter(({ isGrantable }) => isGrantable), scopes, values }
}

export async function action({ request, params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const form = await request.formData()
  const { values, role, input } = readTrustRuleForm(
    form,
    page.roles.map((known) => known.role),
  )
  if (!role) return data({ problem: fieldProblem(page.requestId, 'role', 'Choose a role.'), values }, { status: 400 })
  try {
    await page.api.trustRules.update({ id, ...input, role, isActive: values.isActive })
    return redirect(`/trust-rules/${id}`, { headers: await flashHeaders(page, 'The trust rule is saved.') })
  } catch (thrown) {
    const problem = trustRuleProblem(problemOf(thrown), values.limits)
    leadToSignIn(problem, withForm(`/trust-rules/${id}`, form))
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = () => titled('Trust rule')

export default function TrustRulePage({ loaderData, actionData }: Route.ComponentProps) {
  const { rule, origin, roles, scopes } = loaderData
  const values = actionData?.values ?? loaderData.values
  const mayChange = roles.some(({ role }) => role === rule.role)
  return (
    <div className="mx-auto max-w-3xl">
      <BackLink to="/trust-rules">Trust Rules</BackLink>
      <PageHeader
        title={rule.name}
        description={`Gives out keys of the role ${rule.role}, for ${rule.lifetimeMinutes} minutes each.`}
        actions={<Actions rule={rule} mayChange={mayChange} />}
      />
      <div className="grid gap-5">
        <TrustRuleSetup rule={rule} origin={origin} />
        {mayChange && (
          <Card>
            <CardTitle>Settings</CardTitle>
            <PostForm className="grid gap-6">
              <ErrorSummary problem={actionData?.problem} labels={trustRuleLabels} />
              <TrustRuleFields values={values} problem={actionData?.problem} roles={roles} scopes={scopes} />
              <CheckField name="isActive" defaultChecked={values.isActive} className="border-t pt-5">
                Active. Saved otherwise, or narrower than before, it ends the keys that it gave out.
              </CheckField>
              <SubmitButton variant="outline" pending="Saving…" className="w-fit">
                Save
              </SubmitButton>
            </PostForm>
          </Card>
        )}
      </div>
    </div>
  )
}

function Actions({ rule: { id, name }, mayChange }: { rule: { id: string; name: string }; mayChange: boolean }) {
  return (
    <>
      <Button asChild variant="outline" size="sm">
        <Link to={`/api-keys?${new URLSearchParams({ search: 'ci: ' })}`}>
          <KeyRoundIcon aria-hidden="true" />
          Keys of pipelines
        </Link>
      </Button>
      <Button asChild variant="outline" size="sm">
        <Link to={`/audit-log?search=${id}`}>
          <ScrollTextIcon aria-hidden="true" />
          Audit log
        </Link>
      </Button>
      {mayChange && (
        <Button asChild variant="outline" size="sm" className="text-destructive hover:text-destructive">
          <Link to={`/trust-rules/${id}/delete`}>
            Delete<span className="sr-only"> {name}</span>
          </Link>
        </Button>
      )}
    </>
  )
}
