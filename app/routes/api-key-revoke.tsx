import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { Consequences } from '../components/consequences.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { KeySummary } from '../components/key-facts.tsx'
import { isUsedRecently, KeyUseWarning } from '../components/key-use-warning.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { ReasonField } from '../components/reason-field.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { type Problem, pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { textOf } from '../lib/form-fields.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/api-key-revoke'

export async function loader({ params, context }: Route.LoaderArgs) {
  const apiKey = await context.get(pageContext).api.apiKeys.get({ id: params.id })
  return { apiKey, isInUse: isUsedRecently(apiKey) }
}

export async function action({ request, params, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  // A field of several lines, since reasons are sentences; the log keeps one line.
  const reason = textOf(await request.formData(), 'reason')
  try {
    const revoked = await page.api.apiKeys.revoke({ id: params.id, reason: reason.replaceAll(/\s+/g, ' ') })
    const notice = `The key “${revoked.name}” is revoked. It is refused from now on, everywhere.`
    return redirect('/api-keys', { headers: await flashHeaders(page, notice) })
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ problem, reason }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(`Revoke ${loaderData?.apiKey.name ?? 'a key'}`)

export default function RevokeApiKey({ loaderData: { apiKey, isInUse }, actionData }: Route.ComponentProps) {
  const isRevoked = apiKey.status === 'revoked'
  return (
    <div className="mx-auto max-w-xl">
      <BackLink to="/api-keys">API Keys</BackLink>
      <PageHeader title={isRevoked ? 'This key is revoked already' : 'Revoke this key?'} />
      <Card>
        <KeySummary apiKey={apiKey} />
        {isRevoked ? (
          <Button asChild variant="outline" className="justify-self-start">
            <Link to={`/api-keys/${apiKey.id}`}>See when, by whom and why</Link>
          </Button>
        ) : (
          <>
            {isInUse && <KeyUseWarning apiKey={apiKey} />}
            <Consequences>
              <li>It takes effect before this page answers, on every node.</li>
              <li>It can’t be undone. To replace the key, generate another.</li>
              <li>The key stays in the list as revoked, and in the audit log.</li>
            </Consequences>
            <RevokeForm reason={actionData?.reason ?? ''} problem={actionData?.problem} />
          </>
        )}
      </Card>
    </div>
  )
}

function RevokeForm({ reason, problem }: { reason: string; problem: Problem | undefined }) {
  return (
    <PostForm className="grid gap-5">
      <ErrorSummary problem={problem} labels={{ reason: 'Reason' }} />
      <ReasonField problem={problem} reason={reason} hint="For the audit log, e.g. “leaked in a build log”." />
      <div className="flex gap-2">
        <SubmitButton variant="destructive" pending="Revoking…">
          Revoke key
        </SubmitButton>
        <Button asChild variant="ghost">
          <Link to="/api-keys">Cancel</Link>
        </Button>
      </div>
    </PostForm>
  )
}
