import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { KeySummary } from '../components/key-facts.tsx'
import { KeyLimitFields } from '../components/key-limit-fields.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { joinListErrors, limitLabels, limitsOf, limitValuesOf, valuesOfLimits } from '../lib/limits-form.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/api-key-limits'

export async function loader({ params, context }: Route.LoaderArgs) {
  const { api, scopes } = context.get(pageContext)
  return { apiKey: await api.apiKeys.get({ id: params.id }), scopes }
}

export async function action({ request, params, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const values = limitValuesOf(await request.formData())
  const limits = limitsOf(values)
  try {
    const { id, name } = await page.api.apiKeys.update({ id: params.id, ...limits })
    const headers = await flashHeaders(page, `The limits of “${name}” hold from now on, everywhere.`)
    return redirect(`/api-keys/${id}`, { headers })
  } catch (thrown) {
    const problem = joinListErrors(problemOf(thrown), limits)
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(`Limits of ${loaderData?.apiKey.name ?? 'a key'}`)

export default function ApiKeyLimits({ loaderData: { apiKey, scopes }, actionData }: Route.ComponentProps) {
  return (
    <div className="mx-auto max-w-xl">
      <BackLink to={`/api-keys/${apiKey.id}`}>{apiKey.name}</BackLink>
      <PageHeader title="Limits" />
      <Card>
        <KeySummary apiKey={apiKey} />
        <PostForm className="grid gap-5">
          <ErrorSummary problem={actionData?.problem} labels={limitLabels} />
          <KeyLimitFields scopes={scopes} values={actionData?.values ?? valuesOfLimits(apiKey)} problem={actionData?.problem} />
          <div className="flex gap-2">
            <SubmitButton pending="Saving…">Save limits</SubmitButton>
            <Button asChild variant="ghost">
              <Link to={`/api-keys/${apiKey.id}`}>Cancel</Link>
            </Button>
          </div>
        </PostForm>
      </Card>
    </div>
  )
}
