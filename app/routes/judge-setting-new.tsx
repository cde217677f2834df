import { data, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormActions } from '../components/form-actions.tsx'
import { JudgeFields } from '../components/judge-fields.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm } from '../components/post-form.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { judgeFieldLabels, judgeProblem, newJudge, readJudgeForm } from '../lib/judge-form.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/judge-setting-new'

export async function loader({ context }: Route.LoaderArgs) {
  const { api, requireMay } = context.get(pageContext)
  requireMay('judgeSettings.create')
  const { items } = await api.judgeSettings.list({ limit: 1 })
  return { isFirst: items.length === 0 }
}

export async function action({ request, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const { values, input } = readJudgeForm(await request.formData())
  try {
    const { name } = await page.api.judgeSettings.create(input)
    return redirect('/judge-settings', { headers: await flashHeaders(page, `“${name}” is there.`) })
  } catch (thrown) {
    const problem = judgeProblem(problemOf(thrown), values)
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = () => titled('New judge setting')

export default function NewJudgeSetting({ loaderData: { isFirst }, actionData }: Route.ComponentProps) {
  // The first of them is of no use to most until it is the default.
  const initial = { ...newJudge, texts: { ...newJudge.texts, isDefault: isFirst ? 'yes' : '' } }
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/judge-settings">Judge Settings</BackLink>
      <PageHeader title="New judge setting" />
      <PostForm className="grid gap-6">
        <ErrorSummary problem={actionData?.problem} labels={judgeFieldLabels} />
        <JudgeFields values={actionData?.values ?? initial} problem={actionData?.problem} hasSecret={false} />
        <FormActions submit="Create" pending="Creating…" cancelTo="/judge-settings" />
      </PostForm>
    </div>
  )
}
