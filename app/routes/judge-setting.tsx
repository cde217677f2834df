import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormActions } from '../components/form-actions.tsx'
import { JudgeFacts } from '../components/judge-facts.tsx'
import { JudgeFields } from '../components/judge-fields.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm } from '../components/post-form.tsx'
import { Button } from '../components/ui/button.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { judgeFieldLabels, judgeProblem, readJudgeForm, valuesOfJudge } from '../lib/judge-form.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/judge-setting'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  const { api, may } = context.get(pageContext)
  return { judge: await api.judgeSettings.get({ id }), mayChange: may('judgeSettings.update') }
}

export async function action({ request, params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const { values, input } = readJudgeForm(await request.formData())
  try {
    await page.api.judgeSettings.update({ id, ...input })
    return redirect('/judge-settings', { headers: await flashHeaders(page, 'The judge setting is saved.') })
  } catch (thrown) {
    const problem = judgeProblem(problemOf(thrown), values)
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(loaderData?.judge.name ?? 'Judge setting')

export default function JudgeSettingPage({ loaderData: { judge, mayChange }, actionData }: Route.ComponentProps) {
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/judge-settings">Judge Settings</BackLink>
      <PageHeader title={judge.name} actions={mayChange && <DeleteLink id={judge.id} />} />
      {mayChange ? (
        <PostForm className="grid gap-6">
          <ErrorSummary problem={actionData?.problem} labels={judgeFieldLabels} />
          <JudgeFields
            values={actionData?.values ?? valuesOfJudge(judge)}
            problem={actionData?.problem}
            hasSecret={judge.model?.hasSecret ?? false}
          />
          <FormActions submit="Save" pending="Saving…" cancelTo="/judge-settings" />
        </PostForm>
      ) : (
        <JudgeFacts judge={judge} />
      )}
    </div>
  )
}

function DeleteLink({ id }: { id: string }) {
  return (
    <Button asChild variant="outline" size="sm" className="text-destructive hover:text-destructive">
      <Link to={`/judge-settings/${id}/delete`}>Delete</Link>
    </Button>
  )
}
