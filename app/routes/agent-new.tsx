import { data, redirect } from 'react-router'
import { AgentFields } from '../components/agent-fields.tsx'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormActions } from '../components/form-actions.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm } from '../components/post-form.tsx'
import { pageContext, problemOf } from '../context.ts'
import { agentLabels, agentProblem, newAgent, readAgentForm } from '../lib/agent-form.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { everyPage } from '../lib/every-page.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/agent-new'

export async function loader({ context }: Route.LoaderArgs) {
  const { api, requireMay } = context.get(pageContext)
  requireMay('agents.create')
  const judges = await everyPage((page) => api.judgeSettings.list(page))
  return { judges: judges.map(({ id, name }) => ({ id, name })) }
}

export async function action({ request, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const { values, input } = readAgentForm(await request.formData())
  try {
    const { id, name } = await page.api.agents.create(input)
    return redirect(`/agents/${id}`, {
      headers: await flashHeaders(page, `“${name}” is registered. Test the connection to see whether it answers.`),
    })
  } catch (thrown) {
    const problem = agentProblem(problemOf(thrown))
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = () => titled('Register an agent')

export default function NewAgent({ loaderData: { judges }, actionData }: Route.ComponentProps) {
  const form = { labels: agentLabels, values: actionData?.values ?? newAgent, problem: actionData?.problem }
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/agents">Agents</BackLink>
      <PageHeader title="Register an agent" description="What mate sends to your agent, and where it finds the reply." />
      <PostForm className="grid gap-5">
        <ErrorSummary problem={form.problem} labels={agentLabels} />
        <AgentFields form={form} judges={judges} hasSecret={false} />
        <FormActions submit="Register" pending="Registering…" cancelTo="/agents" />
      </PostForm>
    </div>
  )
}
