import { TriangleAlertIcon } from 'lucide-react'
import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { Consequences } from '../components/consequences.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FieldError } from '../components/form-field.tsx'
import { KeySummary } from '../components/key-facts.tsx'
import { isUsedRecently, KeyUseWarning } from '../components/key-use-warning.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Alert, AlertDescription, AlertTitle } from '../components/ui/alert.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { type Problem, pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { errorOf, fieldProblem, textOf } from '../lib/form-fields.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/api-key-delete'

export async function loader({ params, context }: Route.LoaderArgs) {
  const apiKey = await context.get(pageContext).api.apiKeys.get({ id: params.id })
  return { apiKey, isInUse: isUsedRecently(apiKey) }
}

export async function action({ request, params, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const isConfirmed = textOf(await request.formData(), 'confirm') === 'yes'
  const fail = (problem: Problem) => data({ problem }, { status: problem.status })
  const { name, status } = await page.api.apiKeys.get({ id: params.id })
  if (status === 'active' && !isConfirmed) {
    return fail(fieldProblem(page.requestId, 'confirm', 'Confirm that the active key may be deleted.'))
  }
  try {
    await page.api.apiKeys.delete({ id: params.id })
  } catch (thrown) {
    return fail(problemOf(thrown))
  }
  const notice = `The key “${name}” is deleted. Its audit trail stays.`
  throw redirect('/api-keys', { headers: await flashHeaders(page, notice) })
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(`Delete ${loaderData?.apiKey.name ?? 'a key'}`)

export default function DeleteApiKey({ loaderData: { apiKey, isInUse }, actionData }: Route.ComponentProps) {
  const isActive = apiKey.status === 'active'
  return (
    <div className="mx-auto max-w-xl">
      <BackLink to="/api-keys">API Keys</BackLink>
      <PageHeader title={isActive ? 'Delete this active key?' : 'Delete this key?'} />
      <Card className={isActive ? 'border-destructive' : undefined}>
        <KeySummary apiKey={apiKey} />
        {isActive && <ActiveKeyWarning id={apiKey.id} />}
        {isInUse && <KeyUseWarning apiKey={apiKey} />}
        <Consequences>
          <li>The record of the key is removed for good, and it leaves the list.</li>
          <li>What was done with it, and this deletion, stay in the audit log.</li>
        </Consequences>
        <DeleteForm isActive={isActive} problem={actionData?.problem} />
      </Card>
    </div>
  )
}

function ActiveKeyWarning({ id }: { id: string }) {
  return (
    <Alert variant="destructive">
      <TriangleAlertIcon aria-hidden="true" />
      <AlertTitle>This key still works</AlertTitle>
      <AlertDescription>
        Deleting it stops whatever uses it, at once, and leaves no record here.{' '}
        <Link to={`/api-keys/${id}/revoke`} className="text-foreground underline underline-offset-2">
          Revoke it instead
        </Link>{' '}
        to stop it and keep its record.
      </AlertDescription>
    </Alert>
  )
}

function DeleteForm({ isActive, problem }: { isActive: boolean; problem: Problem | undefined }) {
  const error = errorOf(problem, 'confirm')
  return (
    <PostForm className="grid gap-5">
      <ErrorSummary problem={problem} labels={{ confirm: 'Confirmation' }} />
      {isActive && (
        <div className="grid gap-1.5">
          <label className="flex items-start gap-2.5 text-sm">
            <input
              id="confirm"
              type="checkbox"
              name="confirm"
              value="yes"
              required
              aria-invalid={error ? true : undefined}
              aria-describedby={error ? 'confirm-error' : undefined}
              className="mt-0.5 size-4 accent-destructive"
            />
            I understand that this key stops working at once and can’t be brought back.
          </label>
          <FieldError id="confirm-error" error={error} />
        </div>
      )}
      <div className="flex gap-2">
        <SubmitButton variant="destructive" pending="Deleting…">
          Delete key
        </SubmitButton>
        <Button asChild variant="ghost">
          <Link to="/api-keys">Cancel</Link>
        </Button>
      </div>
    </PostForm>
  )
}
