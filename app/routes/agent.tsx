import { CircleAlertIcon, CircleCheckIcon } from 'lucide-react'
import { data, Link, redirect } from 'react-router'
import { AgentFacts } from '../components/agent-facts.tsx'
import { AgentFields } from '../components/agent-fields.tsx'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Alert, AlertDescription, AlertTitle } from '../components/ui/alert.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { type PageContext, pageContext, problemOf } from '../context.ts'
import { agentLabels, agentProblem, readAgentForm, valuesOfAgent } from '../lib/agent-form.ts'
import type { ConnectionTest } from '../lib/api-types.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { everyPage } from '../lib/every-page.ts'
import { textOf } from '../lib/form-fields.ts'
import { duration } from '../lib/numbers.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/agent'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  const { api, may } = context.get(pageContext)
  const agent = await api.agents.get({ id })
  const judges = await everyPage((page) => api.judgeSettings.list(page))
  return {
    agent,
    judges: judges.map((judge) => ({ id: judge.id, name: judge.name })),
    may: { change: may('agents.update'), test: may('agents.testConnection'), run: may('runs.create') },
  }
}

export async function action({ request, params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const form = await request.formData()
  if (textOf(form, 'intent') === 'test') return tested(page, id)
  const { values, input } = readAgentForm(form)
  try {
    await page.api.agents.update({ id, ...input })
    return redirect(`/agents/${id}`, { headers: await flashHeaders(page, 'The agent is saved.') })
  } catch (thrown) {
    const problem = agentProblem(problemOf(thrown))
    return data({ problem, values, test: undefined }, { status: problem.status })
  }
}

async function tested({ api }: PageContext, agentId: string) {
  const nothing = { values: undefined, problem: undefined, test: undefined }
  try {
    return data({ ...nothing, test: await api.agents.testConnection({ agentId }) })
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ ...nothing, problem }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(loaderData?.agent.name ?? 'Agent')

export default function AgentPage({ loaderData: { agent, judges, may }, actionData }: Route.ComponentProps) {
  const form = {
    labels: agentLabels,
    values: actionData?.values ?? valuesOfAgent(agent),
    problem: actionData?.problem,
  }
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/agents">Agents</BackLink>
      <PageHeader
        title={agent.name}
        description={may.change ? undefined : agent.description}
        actions={<Actions id={agent.id} may={may} />}
      />
      <div className="grid gap-5">
        {actionData?.test && <TestOutcome test={actionData.test} />}
        <ErrorSummary problem={form.problem} labels={agentLabels} />
        {may.change ? (
          <Card>
            <PostForm className="grid gap-5">
              <AgentFields form={form} judges={judges} hasSecret={agent.connector.hasSecret} />
              <SubmitButton pending="Saving…" name="intent" value="save" className="justify-self-start">
                Save
              </SubmitButton>
            </PostForm>
          </Card>
        ) : (
          <AgentFacts agent={agent} judge={judges.find(({ id }) => id === agent.judgeSettingId)?.name} />
        )}
      </div>
    </div>
  )
}

interface ActionsProps {
  id: string
  may: { change: boolean; test: boolean; run: boolean }
}

function Actions({ id, may }: ActionsProps) {
  return (
    <>
      {may.test && (
        <PostForm>
          <SubmitButton pending="Testing…" name="intent" value="test" variant="outline" size="sm">
            Test connection
          </SubmitButton>
        </PostForm>
      )}
      <Button asChild variant="outline" size="sm">
        <Link to={`/runs?agentId=${id}`}>Its runs</Link>
      </Button>
      {may.change && (
        <Button asChild variant="outline" size="sm" className="text-destructive hover:text-destructive">
          <Link to={`/agents/${id}/delete`}>Delete</Link>
        </Button>
      )}
    </>
  )
}

function TestOutcome({ test: { ok, reply, latencyMs, error } }: { test: ConnectionTest }) {
  return (
    <Alert variant={ok ? 'default' : 'destructive'} role="status">
      {ok ? <CircleCheckIcon aria-hidden="true" /> : <CircleAlertIcon aria-hidden="true" />}
      <AlertTitle>{ok ? `It answered in ${duration(latencyMs)}` : 'The connection does not work'}</AlertTitle>
      <AlertDescription className="wrap-anywhere whitespace-pre-wrap">
        {(ok ? reply : error) || 'An empty reply.'}
      </AlertDescription>
    </Alert>
  )
}
