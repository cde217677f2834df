import { data, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { TestSuiteForm } from '../components/test-suite-form.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { everyPage } from '../lib/every-page.ts'
import { newSuite, readSuiteForm, suiteLabels, suiteProblem } from '../lib/test-suite-form.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/test-suite-new'

export async function loader({ context }: Route.LoaderArgs) {
  const { api, requireMay } = context.get(pageContext)
  requireMay('testSuites.create')
  const judges = await everyPage((page) => api.judgeSettings.list(page))
  return { judges: judges.map(({ id, name }) => ({ id, name })) }
}

export async function action({ request, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const { values, input } = readSuiteForm(await request.formData())
  try {
    const { id, name } = await page.api.testSuites.create(input)
    return redirect(`/test-suites/${id}`, { headers: await flashHeaders(page, `“${name}” is there. Add its first case.`) })
  } catch (thrown) {
    const problem = suiteProblem(problemOf(thrown))
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = () => titled('New test suite')

export default function NewTestSuite({ loaderData: { judges }, actionData }: Route.ComponentProps) {
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/test-suites">Test Suites</BackLink>
      <PageHeader title="New test suite" description="Cases that belong together and are run together. They come next." />
      <TestSuiteForm
        form={{ labels: suiteLabels, values: actionData?.values ?? newSuite, problem: actionData?.problem }}
        judges={judges}
        submit="Create"
        pending="Creating…"
        cancelTo="/test-suites"
      />
    </div>
  )
}
