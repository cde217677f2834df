import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { Consequences } from '../components/consequences.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { type Problem, pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { leadToSignIn, signInAgain } from '../lib/sign-in-again.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/account-factor-remove'

const hereOf = (id: string) => `/account/factors/${encodeURIComponent(id)}/remove`

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  const { account, requestId } = context.get(pageContext)
  const { isFresh, factors } = await account.get()
  const name = id === 'totp' ? factors.totpSince && 'Authenticator app' : factors.passkeys.find((each) => each.id === id)?.name
  if (!name) throw notFound(requestId)
  if (!isFresh) throw signInAgain(hereOf(id))
  const count = factors.passkeys.length + (factors.totpSince ? 1 : 0)
  return { name, isLast: count === 1 }
}

function notFound(requestId: string) {
  const detail = 'You have no such second factor: it may be removed already.'
  const problem: Problem = {
    ...{ type: 'urn:mate:problem:not_found', title: 'Not found', status: 404, code: 'not_found' },
    ...{ detail, requestId },
  }
  return data(problem, { status: 404 })
}

export async function action({ params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const result = await page.factors.remove(id)
  if (result.ok) throw redirect('/account', { headers: await flashHeaders(page, 'The second factor is removed.') })
  leadToSignIn(result.problem, hereOf(id))
  return data({ problem: result.problem }, { status: result.problem.status })
}

export const meta: Route.MetaFunction = () => titled('Remove a second factor')

export default function RemoveFactor({ loaderData: { name, isLast }, actionData }: Route.ComponentProps) {
  return (
    <div className="mx-auto max-w-xl">
      <BackLink to="/account">Account</BackLink>
      <PageHeader title="Remove this second factor?" description={name} />
      <Card>
        <ErrorSummary problem={actionData?.problem} labels={{}} />
        <Consequences>
          <li>It does not sign you in any more.</li>
          {isLast && <li>It is your last one: your recovery codes go too, and your password alone signs you in.</li>}
          {isLast && <li>If your tenant asks its admins for one, you set up another at your next sign-in.</li>}
        </Consequences>
        <PostForm className="flex gap-2">
          <SubmitButton variant="destructive" pending="Removing…">
            Remove
          </SubmitButton>
          <Button asChild variant="ghost">
            <Link to="/account">Cancel</Link>
          </Button>
        </PostForm>
      </Card>
    </div>
  )
}
