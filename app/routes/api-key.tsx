import { ListChecksIcon, RefreshCwIcon, ScrollTextIcon, ShieldAlertIcon } from 'lucide-react'
import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormField } from '../components/form-field.tsx'
import { KeyFacts } from '../components/key-facts.tsx'
import { KeyRole } from '../components/key-role.tsx'
import { KeyUsage } from '../components/key-usage.tsx'
import { LocalTime } from '../components/local-time.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Alert, AlertDescription, AlertTitle } from '../components/ui/alert.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card, CardTitle } from '../components/ui/card.tsx'
import { Input } from '../components/ui/input.tsx'
import { type Problem, pageContext, problemOf } from '../context.ts'
import type { ApiKey } from '../lib/api-types.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { errorOf, textOf } from '../lib/form-fields.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/api-key'

export async function loader({ params, url, context }: Route.LoaderArgs) {
  const { api, roles } = context.get(pageContext)
  const apiKey = await api.apiKeys.get({ id: params.id })
  const operation = url.searchParams.get('operation') || undefined
  const usage = await api.apiKeys.getUsage({ id: params.id, days: 90, operation })
  const known = roles.map(({ role }) => role)
  return {
    apiKey,
    usage,
    operation,
    lowerRoles: known.slice(0, known.indexOf(apiKey.role)),
    mayChange: roles.some(({ role, isGrantable }) => role === apiKey.role && isGrantable),
  }
}

export async function action({ request, params, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const name = textOf(await request.formData(), 'name')
  try {
    const renamed = await page.api.apiKeys.update({ id: params.id, name })
    return redirect('/api-keys', { headers: await flashHeaders(page, `The key is now called “${renamed.name}”.`) })
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ problem, name }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(loaderData?.apiKey.name ?? 'API key')

export default function ApiKeyPage({ loaderData, actionData }: Route.ComponentProps) {
  const { apiKey, usage, operation, lowerRoles, mayChange } = loaderData
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/api-keys">API Keys</BackLink>
      <PageHeader title={apiKey.name} actions={mayChange && <KeyActions apiKey={apiKey} />} />
      <div className="grid gap-5">
        <KeyAlerts apiKey={apiKey} />
        <Card>
          <KeyFacts apiKey={apiKey} />
          <div className="flex flex-wrap gap-x-2 gap-y-1 border-t pt-4">
            <Button asChild variant="link" size="xs" className="-ml-2.5">
              <Link to="permissions">
                <ListChecksIcon aria-hidden="true" />
                What it may call
              </Link>
            </Button>
            <Button asChild variant="link" size="xs" className="-ml-2.5">
              <Link to={`/audit-log?search=${apiKey.id}`}>
                <ScrollTextIcon aria-hidden="true" />
                Its entries in the audit log
              </Link>
            </Button>
          </div>
        </Card>
        <KeyUsage usage={usage} operation={operation} />
        {mayChange && <KeyRole apiKey={apiKey} usage={usage} lowerRoles={lowerRoles} />}
        {mayChange && <RenameForm name={actionData?.name ?? apiKey.name} problem={actionData?.problem} />}
      </div>
    </div>
  )
}

function KeyAlerts({ apiKey }: { apiKey: ApiKey }) {
  const { status, trippedAt, rotatesOutAt } = apiKey
  if (trippedAt) {
    return (
      <Alert variant="destructive">
        <ShieldAlertIcon aria-hidden="true" />
        <AlertTitle>Somebody uses this key although it has ended</AlertTitle>
        <AlertDescription className="wrap-anywhere">
          It is {status === 'rotated' ? 'rotated out' : 'revoked'}, was used at <LocalTime instant={trippedAt} />
          {apiKey.trippedIp && ` from ${apiKey.trippedIp}`}
          {apiKey.trippedUserAgent && ` with ${apiKey.trippedUserAgent}`}. It was refused.
        </AlertDescription>
      </Alert>
    )
  }
  if (!rotatesOutAt || status !== 'active') return null
  return (
    <Alert variant="warning">
      <RefreshCwIcon aria-hidden="true" />
      <AlertTitle>
        This key ends at <LocalTime instant={rotatesOutAt} />
      </AlertTitle>
      <AlertDescription className="wrap-anywhere">
        <StillUsed apiKey={apiKey} />
      </AlertDescription>
    </Alert>
  )
}

/** Who has not moved to the successor yet, as far as the last use tells. */
function StillUsed({ apiKey: { lastUsedAt, lastUsedIp, lastUsedUserAgent } }: { apiKey: ApiKey }) {
  if (!lastUsedAt) return 'It was never used.'
  return (
    <>
      Last used at <LocalTime instant={lastUsedAt} />
      {lastUsedIp && ` from ${lastUsedIp}`}
      {lastUsedUserAgent && ` with ${lastUsedUserAgent}`}. Whatever still uses it then is refused.
    </>
  )
}

function KeyActions({ apiKey: { id, status, rotatesOutAt } }: { apiKey: ApiKey }) {
  const isActive = status === 'active'
  const mayRotate = rotatesOutAt === null && status !== 'revoked'
  return (
    <>
      {mayRotate && (
        <Button asChild variant="outline" size="sm">
          <Link to={`/api-keys/${id}/rotate`}>Rotate</Link>
        </Button>
      )}
      {isActive && (
        <Button asChild variant="outline" size="sm">
          <Link to={`/api-keys/${id}/limits`}>Limits</Link>
        </Button>
      )}
      {isActive && (
        <Button asChild variant="outline" size="sm">
          <Link to={`/api-keys/${id}/revoke`}>Revoke</Link>
        </Button>
      )}
      <Button asChild variant="outline" size="sm" className="text-destructive hover:text-destructive">
        <Link to={`/api-keys/${id}/delete`}>Delete</Link>
      </Button>
    </>
  )
}

function RenameForm({ name, problem }: { name: string; problem: Problem | undefined }) {
  return (
    <Card>
      <CardTitle>Rename</CardTitle>
      <PostForm className="grid gap-4">
        <ErrorSummary problem={problem} labels={{ name: 'Name' }} />
        <FormField
          label="Name"
          name="name"
          hint="The expiry can’t be changed: generate another key."
          error={errorOf(problem, 'name')}
          control={(props) => (
            <Input {...props} required maxLength={100} autoComplete="off" spellCheck={false} defaultValue={name} />
          )}
        />
        <SubmitButton variant="outline" pending="Renaming…" className="justify-self-start">
          Rename
        </SubmitButton>
      </PostForm>
    </Card>
  )
}
