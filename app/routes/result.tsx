import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { Conversation } from '../components/conversation.tsx'
import { HumanVerdict } from '../components/human-verdict.tsx'
import { Fact, Facts } from '../components/key-facts.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { VerdictBadge } from '../components/run-status.tsx'
import { ScoreList } from '../components/score-list.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card, CardTitle } from '../components/ui/card.tsx'
import { pageContext, problemOf } from '../context.ts'
import type { Result } from '../lib/api-types.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { textOf } from '../lib/form-fields.ts'
import { duration, score } from '../lib/numbers.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/result'

export async function loader({ params: { id, resultId }, context }: Route.LoaderArgs) {
  const { api, may } = context.get(pageContext)
  const result = await api.results.get({ id: resultId })
  if (result.runId !== id) throw data(null, { status: 404 })
  const run = await api.runs.get({ id })
  const { items } = await api.results.getTranscript({ id: resultId })
  return { result, run, messages: items, mayJudge: may('results.setHumanVerdict') }
}

export async function action({ request, params: { id, resultId }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const form = await request.formData()
  const given = textOf(form, 'verdict')
  const isTakenBack = textOf(form, 'intent') === 'take-back'
  const verdict = isTakenBack ? null : given === 'pass' ? 'pass' : 'fail'
  try {
    await page.api.results.setHumanVerdict({ id: resultId, verdict, note: isTakenBack ? '' : textOf(form, 'note') })
    const notice = isTakenBack ? 'The verdict is taken back.' : 'Your verdict is saved.'
    return redirect(`/runs/${id}/results/${resultId}`, { headers: await flashHeaders(page, notice) })
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ problem }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(loaderData?.result.name ?? 'Result')

export default function ResultPage({ loaderData: { result, run, messages, mayJudge }, actionData }: Route.ComponentProps) {
  return (
    <>
      <BackLink to={`/runs/${run.id}`}>{`Run of ${run.suiteName}`}</BackLink>
      <PageHeader title={result.name} description={`Against ${run.agentName}`} actions={<CaseLink run={run} result={result} />} />
      <div className="grid items-start gap-6 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <Card>
          <CardTitle>Conversation</CardTitle>
          {messages.length > 0 ? (
            <Conversation messages={messages} />
          ) : (
            <p className="text-sm text-muted-foreground">Nothing was said.</p>
          )}
        </Card>
        <div className="grid gap-6">
          <Judgement result={result} />
          <HumanVerdict human={result.human} mayJudge={mayJudge && result.verdict !== null} problem={actionData?.problem} />
        </div>
      </div>
    </>
  )
}

function CaseLink({ run, result }: { run: { suiteId: string | null }; result: Result }) {
  if (!run.suiteId || !result.testCaseId) return null
  return (
    <Button asChild variant="outline" size="sm">
      <Link to={`/test-suites/${run.suiteId}/cases/${result.testCaseId}`}>The test case</Link>
    </Button>
  )
}

function Judgement({ result: { verdict, overallScore, scores, rationale, latencyMs, tags } }: { result: Result }) {
  return (
    <Card>
      <CardTitle>Judge’s verdict</CardTitle>
      <Facts>
        <Fact term="Verdict">
          <VerdictBadge verdict={verdict} />
        </Fact>
        {overallScore !== null && <Fact term="Score">{score(overallScore)}</Fact>}
        <Fact term="Latency">{duration(latencyMs)}</Fact>
        {tags.length > 0 && <Fact term="Tags">{tags.join(', ')}</Fact>}
      </Facts>
      {rationale && <p className="border-t pt-4 text-sm wrap-anywhere whitespace-pre-wrap">{rationale}</p>}
      {scores && new Set(Object.values(scores)).size > 1 && (
        <div className="border-t pt-4">
          <ScoreList scores={scores} />
        </div>
      )}
    </Card>
  )
}
