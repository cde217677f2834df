import { data, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormActions } from '../components/form-actions.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm } from '../components/post-form.tsx'
import { RecoveryCodes } from '../components/recovery-codes.tsx'
import { Card } from '../components/ui/card.tsx'
import { pageContext } from '../context.ts'
import { leadToSignIn, signInAgain } from '../lib/sign-in-again.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/account-recovery-codes'

const here = '/account/recovery-codes'

export async function loader({ context }: Route.LoaderArgs) {
  const { isFresh, factors } = await context.get(pageContext).account.get()
  if (!factors.totpSince && factors.passkeys.length === 0) throw redirect('/account')
  if (!isFresh) throw signInAgain(here)
  return { codesLeft: factors.codesLeft }
}

/** Answers the codes themselves, not a redirect: they are shown once. */
export async function action({ context }: Route.ActionArgs) {
  const result = await context.get(pageContext).factors.renewCodes()
  if (!result.ok) {
    leadToSignIn(result.problem, here)
    return data({ problem: result.problem, shown: undefined }, { status: result.problem.status })
  }
  const shown = { codes: result.codes.join(' ') }
  return data({ problem: undefined, shown }, { status: 201, headers: { 'Cache-Control': 'no-store' } })
}

export function headers({ actionHeaders }: Route.HeadersArgs) {
  return actionHeaders
}

export const meta: Route.MetaFunction = () => titled('Recovery codes')

export default function NewRecoveryCodes({ loaderData: { codesLeft }, actionData }: Route.ComponentProps) {
  if (actionData?.shown) return <RecoveryCodes shown={actionData.shown} to="/account" />
  return (
    <div className="mx-auto max-w-xl">
      <BackLink to="/account">Account</BackLink>
      <PageHeader title="Make new recovery codes?" description={`Of the codes that you have, ${codesLeft} were not used yet.`} />
      <Card>
        <ErrorSummary problem={actionData?.problem} labels={{}} />
        <p className="text-sm text-muted-foreground">The next page shows ten new codes, once. Those before end.</p>
        <PostForm>
          <FormActions submit="Make new codes" pending="Making…" cancelTo="/account" />
        </PostForm>
      </Card>
    </div>
  )
}
