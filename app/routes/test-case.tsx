import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormActions } from '../components/form-actions.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm } from '../components/post-form.tsx'
import { TestCaseFacts } from '../components/test-case-facts.tsx'
import { TestCaseFields } from '../components/test-case-fields.tsx'
import { Button } from '../components/ui/button.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { caseFieldLabels, caseProblem, readCaseForm, valuesOfCase } from '../lib/test-case-form.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/test-case'

export async function loader({ params: { id, caseId }, context }: Route.LoaderArgs) {
  const { api, may } = context.get(pageContext)
  const testCase = await api.testCases.get({ id: caseId })
  if (testCase.suiteId !== id) throw data(null, { status: 404 })
  const suite = await api.testSuites.get({ id })
  return { testCase, suite: { id, name: suite.name }, mayChange: may('testCases.update') }
}

export async function action({ request, params: { id, caseId }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const { values, input } = readCaseForm(await request.formData())
  try {
    await page.api.testCases.update({ id: caseId, ...input })
    return redirect(`/test-suites/${id}`, { headers: await flashHeaders(page, 'The test case is saved.') })
  } catch (thrown) {
    const problem = caseProblem(problemOf(thrown), values)
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(loaderData?.testCase.name ?? 'Test case')

export default function TestCasePage({ loaderData: { testCase, suite, mayChange }, actionData }: Route.ComponentProps) {
  const to = `/test-suites/${suite.id}`
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to={to}>{suite.name}</BackLink>
      <PageHeader title={testCase.name} actions={mayChange && <DeleteLink to={`${to}/cases/${testCase.id}/delete`} />} />
      {mayChange ? (
        <PostForm className="grid gap-5">
          <ErrorSummary problem={actionData?.problem} labels={caseFieldLabels} />
          <TestCaseFields values={actionData?.values ?? valuesOfCase(testCase)} problem={actionData?.problem} />
          <FormActions submit="Save" pending="Saving…" cancelTo={to} />
        </PostForm>
      ) : (
        <TestCaseFacts testCase={testCase} />
      )}
    </div>
  )
}

function DeleteLink({ to }: { to: string }) {
  return (
    <Button asChild variant="outline" size="sm" className="text-destructive hover:text-destructive">
      <Link to={to}>Delete</Link>
    </Button>
  )
}
