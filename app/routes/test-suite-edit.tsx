import { data, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { TestSuiteForm } from '../components/test-suite-form.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { everyPage } from '../lib/every-page.ts'
import { readSuiteForm, suiteLabels, suiteProblem, valuesOfSuite } from '../lib/test-suite-form.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/test-suite-edit'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  const { api, requireMay } = context.get(pageContext)
  requireMay('testSuites.update')
  const suite = await api.testSuites.get({ id })
  const judges = await everyPage((page) => api.judgeSettings.list(page))
  return { suite, judges: judges.map((judge) => ({ id: judge.id, name: judge.name })) }
}

export async function action({ request, params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const { values, input } = readSuiteForm(await request.formData())
  try {
    await page.api.testSuites.update({ id, ...input })
    return redirect(`/test-suites/${id}`, { headers: await flashHeaders(page, 'The test suite is saved.') })
  } catch (thrown) {
    const problem = suiteProblem(problemOf(thrown))
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = () => titled('Edit a test suite')

export default function EditTestSuite({ loaderData: { suite, judges }, actionData }: Route.ComponentProps) {
  const to = `/test-suites/${suite.id}`
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to={to}>{suite.name}</BackLink>
      <PageHeader title="Edit test suite" />
      <TestSuiteForm
        form={{ labels: suiteLabels, values: actionData?.values ?? valuesOfSuite(suite), problem: actionData?.problem }}
        judges={judges}
        submit="Save"
        pending="Saving…"
        cancelTo={to}
      />
    </div>
  )
}
