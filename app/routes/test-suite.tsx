import { PlayIcon, PlusIcon } from 'lucide-react'
import { Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { EmptyState } from '../components/list-chrome.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { RunTable } from '../components/run-table.tsx'
import { TestCaseTable } from '../components/test-case-table.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card, CardTitle } from '../components/ui/card.tsx'
import { pageContext } from '../context.ts'
import type { TestSuite } from '../lib/api-types.ts'
import { moveCase } from '../lib/case-order.ts'
import { everyPage } from '../lib/every-page.ts'
import { textOf } from '../lib/form-fields.ts'
import { duration, percent } from '../lib/numbers.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/test-suite'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  const { api, may } = context.get(pageContext)
  const suite = await api.testSuites.get({ id })
  const cases = await everyPage((page) => api.testCases.list({ suiteId: id, ...page }))
  const runs = await api.runs.list({ suiteId: id, limit: 5 })
  const judge = suite.judgeSettingId ? await api.judgeSettings.get({ id: suite.judgeSettingId }) : null
  return {
    suite,
    cases,
    runs: runs.items,
    judge: judge && { id: judge.id, name: judge.name },
    may: { run: may('runs.create'), change: may('testSuites.update') },
  }
}

export async function action({ request, params: { id }, context }: Route.ActionArgs) {
  const { api } = context.get(pageContext)
  const form = await request.formData()
  const cases = await everyPage((page) => api.testCases.list({ suiteId: id, ...page }))
  await moveCase(api, cases, textOf(form, 'caseId'), textOf(form, 'intent') === 'up' ? -1 : 1)
  return redirect(`/test-suites/${id}`)
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(loaderData?.suite.name ?? 'Test suite')

export default function TestSuitePage({ loaderData: { suite, cases, runs, judge, may } }: Route.ComponentProps) {
  return (
    <>
      <BackLink to="/test-suites">Test Suites</BackLink>
      <PageHeader
        title={suite.name}
        description={suite.description}
        actions={<Actions id={suite.id} may={may} canRun={cases.some(({ isActive }) => isActive)} />}
      />
      <SuiteFacts suite={suite} judge={judge} />
      <div className="grid gap-6">
        <Card className="gap-0 overflow-hidden p-0 sm:p-0">
          <div className="flex min-h-13 items-center justify-between gap-3 border-b px-4 py-2">
            <CardTitle>Cases</CardTitle>
            {may.change && cases.length > 0 && <AddCaseLink suiteId={suite.id} />}
          </div>
          {cases.length > 0 ? (
            <TestCaseTable cases={cases} mayChange={may.change} />
          ) : (
            <EmptyState title="No cases yet">
              <p>A case is what a user says, and what a good answer does.</p>
              {may.change && <AddCaseLink suiteId={suite.id} />}
            </EmptyState>
          )}
        </Card>
        {runs.length > 0 && (
          <Card className="gap-0 overflow-hidden p-0 sm:p-0">
            <div className="flex min-h-13 items-center justify-between gap-3 border-b px-4 py-2">
              <CardTitle>Last runs</CardTitle>
              <Button asChild variant="link" size="sm" className="-mr-3">
                <Link to={`/runs?suiteId=${suite.id}`}>All its runs</Link>
              </Button>
            </div>
            <RunTable runs={runs} isOfOneSuite />
          </Card>
        )}
      </div>
    </>
  )
}

interface ActionsProps {
  id: string
  may: { run: boolean; change: boolean }
  canRun: boolean
}

function Actions({ id, may, canRun }: ActionsProps) {
  return (
    <>
      {may.change && (
        <>
          <Button asChild variant="outline">
            <Link to={`/test-suites/${id}/edit`}>Edit</Link>
          </Button>
          <Button asChild variant="outline" className="text-destructive hover:text-destructive">
            <Link to={`/test-suites/${id}/delete`}>Delete</Link>
          </Button>
        </>
      )}
      {may.run && canRun && (
        <Button asChild>
          <Link to={`/runs/new?suiteId=${id}`}>
            <PlayIcon aria-hidden="true" />
            Run
          </Link>
        </Button>
      )}
    </>
  )
}

/** In one line: what is seldom looked for. */
function SuiteFacts({ suite, judge }: { suite: TestSuite; judge: { id: string; name: string } | null }) {
  const { passThreshold, delayBetweenTestsMs, tags } = suite
  return (
    <p className="-mt-3 mb-6 text-sm text-muted-foreground">
      A run passes from {percent(passThreshold)}. Judged by{' '}
      <Link to={judge ? `/judge-settings/${judge.id}` : '/judge-settings'} className="underline underline-offset-2">
        {judge?.name ?? 'the agent’s judge or the default'}
      </Link>
      .{delayBetweenTestsMs > 0 && ` ${duration(delayBetweenTestsMs)} between cases.`}
      {tags.length > 0 && ` Tags: ${tags.join(', ')}.`}
    </p>
  )
}

function AddCaseLink({ suiteId }: { suiteId: string }) {
  return (
    <Button asChild variant="outline" size="sm">
      <Link to={`/test-suites/${suiteId}/cases/new`}>
        <PlusIcon aria-hidden="true" />
        Add Case
      </Link>
    </Button>
  )
}
