import { data, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormActions } from '../components/form-actions.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm } from '../components/post-form.tsx'
import { TestCaseFields } from '../components/test-case-fields.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { caseFieldLabels, caseProblem, newCase, readCaseForm } from '../lib/test-case-form.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/test-case-new'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  const { api, requireMay } = context.get(pageContext)
  requireMay('testCases.create')
  const { name } = await api.testSuites.get({ id })
  return { suite: { id, name } }
}

export async function action({ request, params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const { values, input } = readCaseForm(await request.formData())
  try {
    await page.api.testCases.create({ suiteId: id, ...input })
    return redirect(`/test-suites/${id}`, { headers: await flashHeaders(page, 'The test case is added.') })
  } catch (thrown) {
    const problem = caseProblem(problemOf(thrown), values)
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = () => titled('New test case')

export default function NewTestCase({ loaderData: { suite }, actionData }: Route.ComponentProps) {
  const to = `/test-suites/${suite.id}`
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to={to}>{suite.name}</BackLink>
      <PageHeader title="New test case" />
      <PostForm className="grid gap-5">
        <ErrorSummary problem={actionData?.problem} labels={caseFieldLabels} />
        <TestCaseFields values={actionData?.values ?? newCase} problem={actionData?.problem} />
        <FormActions submit="Add" pending="Adding…" cancelTo={to} />
      </PostForm>
    </div>
  )
}
