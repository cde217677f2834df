import { data, redirect } from 'react-router'
import { AccountFactors } from '../components/account-factors.tsx'
import { AccountSessions } from '../components/account-sessions.tsx'
import { AppearanceForm } from '../components/appearance-form.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormField } from '../components/form-field.tsx'
import { TimeZoneNote } from '../components/local-time.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Card, CardTitle } from '../components/ui/card.tsx'
import { Input } from '../components/ui/input.tsx'
import { type Problem, pageContext } from '../context.ts'
import { dateStyleHeader, flashHeaders } from '../lib/cookies.ts'
import { deviceOf } from '../lib/device.ts'
import { errorOf, textOf } from '../lib/form-fields.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/account'

export async function loader({ context }: Route.LoaderArgs) {
  const { account } = context.get(pageContext)
  const { name, email, hasPassword, factors, sessions } = await account.get()
  return {
    ...{ name, email, hasPassword },
    factors: {
      totpSince: factors.totpSince?.toISOString() ?? null,
      codesLeft: factors.codesLeft,
      passkeys: factors.passkeys.map(({ id, name, lastUsedAt }) => ({ id, name, lastUsedAt: lastUsedAt?.toISOString() ?? null })),
    },
    sessions: sessions.map(({ userAgent, createdAt, lastSeenAt, ...session }) => ({
      ...session,
      device: deviceOf(userAgent),
      createdAt: createdAt.toISOString(),
      lastSeenAt: lastSeenAt.toISOString(),
    })),
  }
}

export async function action({ request, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const { account } = page
  const form = await request.formData()
  const back = async (notice: string) => redirect('/account', { headers: await flashHeaders(page, notice) })
  const fail = (problem: Problem) => data({ problem, name: textOf(form, 'name') }, { status: problem.status })
  switch (textOf(form, 'intent')) {
    case 'end-session': {
      const result = await account.endSession(textOf(form, 'id'))
      return result.ok ? back('The session has ended.') : fail(result.problem)
    }
    case 'end-others': {
      const result = await account.endOtherSessions()
      return result.ok ? back(`Your other sessions have ended: ${result.ended}.`) : fail(result.problem)
    }
    case 'dates': {
      const { 'Set-Cookie': flash } = await flashHeaders(page, 'Dates are written as you chose.')
      const headers = new Headers({ 'Set-Cookie': flash })
      headers.append('Set-Cookie', await dateStyleHeader(page, textOf(form, 'dates')))
      return redirect('/account', { headers })
    }
    default: {
      const result = await account.rename({ name: textOf(form, 'name') })
      return result.ok ? back('Your name is saved.') : fail(result.problem)
    }
  }
}

export const meta: Route.MetaFunction = () => titled('Account')

export default function Account({ loaderData, actionData }: Route.ComponentProps) {
  const { name, email, hasPassword, factors, sessions } = loaderData
  const problem = actionData?.problem
  return (
    <div className="mx-auto max-w-3xl">
      <PageHeader title="Account" description={email} />
      <div className="grid gap-5">
        <Card>
          <CardTitle>Name</CardTitle>
          <PostForm className="grid max-w-md gap-4">
            <ErrorSummary problem={problem} labels={{ name: 'Name' }} />
            <FormField
              label="Name"
              name="name"
              error={errorOf(problem, 'name')}
              control={(props) => (
                <Input {...props} required maxLength={100} autoComplete="name" defaultValue={actionData?.name || name} />
              )}
            />
            <SubmitButton pending="Saving…" name="intent" value="rename" variant="outline" className="justify-self-start">
              Save name
            </SubmitButton>
          </PostForm>
        </Card>
        <AccountFactors factors={factors} hasPassword={hasPassword} />
        <AccountSessions sessions={sessions} />
        <AppearanceForm />
        <TimeZoneNote />
      </div>
    </div>
  )
}
