import { ScrollTextIcon } from 'lucide-react'
import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormField } from '../components/form-field.tsx'
import { KeyFacts } from '../components/key-facts.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card, CardTitle } from '../components/ui/card.tsx'
import { Input } from '../components/ui/input.tsx'
import { type Problem, pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { errorOf, textOf } from '../lib/form-fields.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/api-key'

export async function loader({ params, context }: Route.LoaderArgs) {
  const { api, roles } = context.get(pageContext)
  const apiKey = await api.apiKeys.get({ id: params.id })
  return { apiKey, mayChange: roles.some(({ role, isGrantable }) => role === apiKey.role && isGrantable) }
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

export default function ApiKeyPage({ loaderData: { apiKey, mayChange }, actionData }: Route.ComponentProps) {
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/api-keys">API Keys</BackLink>
      <PageHeader
        title={apiKey.name}
        actions={mayChange && <KeyActions id={apiKey.id} isActive={apiKey.status === 'active'} />}
      />
      <div className="grid gap-5">
        <Card>
          <KeyFacts apiKey={apiKey} />
          <div className="border-t pt-4">
            <Button asChild variant="link" size="xs" className="-ml-2.5">
              <Link to={`/audit-log?search=${apiKey.id}`}>
                <ScrollTextIcon aria-hidden="true" />
                Its entries in the audit log
              </Link>
            </Button>
          </div>
        </Card>
        {mayChange && <RenameForm name={actionData?.name ?? apiKey.name} problem={actionData?.problem} />}
      </div>
    </div>
  )
}

function KeyActions({ id, isActive }: { id: string; isActive: boolean }) {
  return (
    <>
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
          hint="Role and expiry can’t be changed: generate another key."
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
