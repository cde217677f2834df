import { data, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormActions } from '../components/form-actions.tsx'
import { FormField } from '../components/form-field.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm } from '../components/post-form.tsx'
import { Card } from '../components/ui/card.tsx'
import { Input } from '../components/ui/input.tsx'
import { pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { errorOf, textOf } from '../lib/form-fields.ts'
import { leadToSignIn, signInAgain } from '../lib/sign-in-again.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/account-password'

const here = '/account/password'
const labels = { current: 'Password that you have', password: 'New password' }

export async function loader({ context }: Route.LoaderArgs) {
  const { isFresh, hasPassword, email } = await context.get(pageContext).account.get()
  if (!hasPassword) throw redirect('/account')
  // Before anything is typed that could not be brought back.
  if (!isFresh) throw signInAgain(here)
  return { email }
}

export async function action({ request, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const form = await request.formData()
  const result = await page.account.changePassword({ current: textOf(form, 'current'), password: textOf(form, 'password') })
  if (!result.ok) {
    leadToSignIn(result.problem, here)
    return data({ problem: result.problem }, { status: result.problem.status })
  }
  const notice = `Your password is changed. Other sessions that have ended: ${result.ended}.`
  throw redirect('/account', { headers: await flashHeaders(page, notice) })
}

export const meta: Route.MetaFunction = () => titled('Change password')

export default function ChangePassword({ loaderData: { email }, actionData }: Route.ComponentProps) {
  const problem = actionData?.problem
  return (
    <div className="mx-auto max-w-md">
      <BackLink to="/account">Account</BackLink>
      <PageHeader title="Change password" description="Your other sessions end." />
      <Card>
        <PostForm className="grid gap-5">
          <ErrorSummary problem={problem} labels={labels} />
          <input type="hidden" name="email" autoComplete="username" value={email} />
          <FormField
            label={labels.current}
            name="current"
            error={errorOf(problem, 'current')}
            control={(props) => <Input {...props} type="password" required autoComplete="current-password" />}
          />
          <FormField
            label={labels.password}
            name="password"
            hint="12 to 128 characters; a sentence is easy to keep. Not one that everybody knows, nor your name or e-mail."
            error={errorOf(problem, 'password')}
            control={(props) => <Input {...props} type="password" required minLength={12} autoComplete="new-password" />}
          />
          <FormActions submit="Change password" pending="Changing…" cancelTo="/account" />
        </PostForm>
      </Card>
    </div>
  )
}
