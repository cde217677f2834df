import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormActions } from '../components/form-actions.tsx'
import { EmptyState } from '../components/list-chrome.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm } from '../components/post-form.tsx'
import { SelectField } from '../components/text-field.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { pageContext, problemOf } from '../context.ts'
import { counted } from '../lib/days.ts'
import { everyPage } from '../lib/every-page.ts'
import { foldErrors, textsOf } from '../lib/form-fields.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/run-new'

const labels = { suiteId: 'Test suite', agentId: 'Agent' }

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api, requireMay, may } = context.get(pageContext)
  requireMay('runs.create')
  const suites = await everyPage((page) => api.testSuites.list(page))
  const agents = await everyPage((page) => api.agents.list(page))
  return {
    suites: suites.map(({ id, name, caseCount }) => ({ value: id, label: `${name} (${counted(caseCount, 'case')})` })),
    agents: agents.filter(({ isActive }) => isActive).map(({ id, name }) => ({ value: id, label: name })),
    chosen: { suiteId: url.searchParams.get('suiteId') ?? '', agentId: url.searchParams.get('agentId') ?? '' },
    mayAdd: may('agents.create'),
  }
}

export async function action({ request, context }: Route.ActionArgs) {
  const { api } = context.get(pageContext)
  const values = textsOf(await request.formData(), labels)
  try {
    const { id } = await api.runs.create(values)
    return redirect(`/runs/${id}`)
  } catch (thrown) {
    const problem = foldErrors(problemOf(thrown), labels)
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = () => titled('Run a suite')

export default function NewRun({ loaderData: { suites, agents, chosen, mayAdd }, actionData }: Route.ComponentProps) {
  const form = { labels, values: actionData?.values ?? chosen, problem: actionData?.problem }
  const missing = suites.length === 0 ? 'test suite' : agents.length === 0 ? 'agent' : undefined
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/runs">Runs</BackLink>
      <PageHeader title="Run a suite" description="Every active case is sent to the agent, and its replies are judged." />
      {missing ? (
        <Missing what={missing} mayAdd={mayAdd} />
      ) : (
        <PostForm className="grid gap-5">
          <ErrorSummary problem={form.problem} labels={labels} />
          <SelectField form={form} name="suiteId" options={suites} />
          <SelectField form={form} name="agentId" options={agents} />
          <FormActions submit="Run" pending="Starting…" cancelTo="/runs" />
        </PostForm>
      )}
    </div>
  )
}

/** A run takes both. */
function Missing({ what, mayAdd }: { what: 'test suite' | 'agent'; mayAdd: boolean }) {
  const isAgent = what === 'agent'
  return (
    <Card>
      <EmptyState title={`No ${isAgent ? 'active agent' : what} yet`}>
        <p>{mayAdd ? `A run needs a test suite and an agent.` : `An admin has to add one first.`}</p>
        {mayAdd && (
          <Button asChild>
            <Link to={isAgent ? '/agents/new' : '/test-suites/new'}>{isAgent ? 'Register Agent' : 'New Test Suite'}</Link>
          </Button>
        )}
      </EmptyState>
    </Card>
  )
}
