import { data, redirect } from 'react-router'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormField } from '../components/form-field.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Input } from '../components/ui/input.tsx'
import { type Problem, pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { errorOf, textOf } from '../lib/form-fields.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/setup'

export async function loader({ url, context }: Route.LoaderArgs) {
  const isOpen = await context.get(pageContext).setup.isOpen(tokenOf(url))
  return data({ isOpen }, { status: isOpen ? 200 : 404 })
}

export async function action({ request, url, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const form = await request.formData()
  const values = { tenantName: textOf(form, 'tenantName'), name: textOf(form, 'name'), email: textOf(form, 'email').trim() }
  const result = await page.setup.complete({ ...values, token: tokenOf(url), password: textOf(form, 'password') })
  if (!result.ok) return data({ problem: result.problem, values }, { status: result.problem.status })
  const flash = await flashHeaders(page, 'mate is set up, and you are its first SuperAdmin.')
  result.headers.append('Set-Cookie', flash['Set-Cookie'])
  throw redirect('/api-keys', { headers: result.headers })
}

function tokenOf(url: URL): string {
  return url.searchParams.get('token') ?? ''
}

export const meta: Route.MetaFunction = () => titled('Set up')

export default function Setup({ loaderData, actionData }: Route.ComponentProps) {
  return (
    <div className="mx-auto max-w-md py-4">
      {loaderData.isOpen ? <SetupForm problem={actionData?.problem} values={actionData?.values} /> : <SetupClosed />}
    </div>
  )
}

interface SetupFormProps {
  problem: Problem | undefined
  values: { tenantName: string; name: string; email: string } | undefined
}

const labels = { tenantName: 'Tenant', name: 'Your name', email: 'Your e-mail', password: 'Password' }
const minPasswordLength = 12

function SetupForm({ problem, values }: SetupFormProps) {
  const field = (name: keyof typeof labels) => ({ name, label: labels[name], error: errorOf(problem, name) })
  return (
    <>
      <PageHeader
        title="Set up mate"
        description="You make the first tenant and its SuperAdmin. This link then closes for good."
      />
      <PostForm className="grid gap-5">
        <ErrorSummary problem={problem} labels={labels} />
        <FormField
          {...field('tenantName')}
          hint="The company or team whose agents are tested."
          control={(props) => (
            <Input {...props} required maxLength={100} autoComplete="organization" defaultValue={values?.tenantName ?? ''} />
          )}
        />
        <FormField
          {...field('name')}
          control={(props) => <Input {...props} required maxLength={100} autoComplete="name" defaultValue={values?.name ?? ''} />}
        />
        <FormField
          {...field('email')}
          control={(props) => (
            <Input {...props} type="email" required autoComplete="username" defaultValue={values?.email ?? ''} />
          )}
        />
        <FormField
          {...field('password')}
          hint={`At least ${minPasswordLength} characters.`}
          control={(props) => (
            <Input {...props} type="password" required minLength={minPasswordLength} autoComplete="new-password" />
          )}
        />
        <SubmitButton pending="Setting up…">Set up and sign in</SubmitButton>
      </PostForm>
    </>
  )
}

function SetupClosed() {
  return (
    <>
      <PageHeader title="This set-up link is not valid" />
      <div className="grid gap-3 text-sm">
        <p>Either mate is set up already, then sign in; or the link is from an earlier start.</p>
        <ul className="grid list-disc gap-2 pl-5 text-muted-foreground">
          <li>While there is no user yet, each start prints a new link to the console: restart the server and open that one.</li>
          <li>
            Locked out? The operator makes an admin with{' '}
            <code className="font-mono text-foreground">npm run mate -- create-admin</code>.
          </li>
        </ul>
        <p>
          <a href="/sign-in" className="text-primary underline underline-offset-4">
            Sign in
          </a>
        </p>
      </div>
    </>
  )
}
