import { data, redirect } from 'react-router'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormField } from '../components/form-field.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Input } from '../components/ui/input.tsx'
import { pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { errorOf, textOf } from '../lib/form-fields.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/invitation'

export async function loader({ url, context }: Route.LoaderArgs) {
  const invitation = await context.get(pageContext).invitation.find(tokenOf(url))
  return data({ invitation }, { status: invitation ? 200 : 404 })
}

export async function action({ request, url, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const form = await request.formData()
  const name = textOf(form, 'name')
  const result = await page.invitation.accept({ token: tokenOf(url), name, password: textOf(form, 'password') })
  if (!result.ok) return data({ problem: result.problem, name }, { status: result.problem.status })
  const flash = await flashHeaders(page, `Welcome, ${name.trim()}.`)
  result.headers.append('Set-Cookie', flash['Set-Cookie'])
  throw redirect('/', { headers: result.headers })
}

function tokenOf(url: URL): string {
  return url.searchParams.get('token') ?? ''
}

export const meta: Route.MetaFunction = () => titled('Invitation')

const minPasswordLength = 12

export default function TakeInvitation({ loaderData: { invitation }, actionData }: Route.ComponentProps) {
  if (!invitation) return <Closed />
  const problem = actionData?.problem
  return (
    <div className="mx-auto max-w-md py-4">
      <PageHeader
        title={`Join ${invitation.tenant}`}
        description={
          <>
            As {invitation.role}, with <span className="wrap-anywhere">{invitation.email}</span>.
          </>
        }
      />
      <PostForm className="grid gap-5">
        <ErrorSummary problem={problem} labels={{ name: 'Your name', password: 'Password', email: 'E-mail' }} />
        {/* For password managers. */}
        <input type="email" autoComplete="username" value={invitation.email} readOnly hidden />
        <FormField
          label="Your name"
          name="name"
          error={errorOf(problem, 'name')}
          control={(props) => (
            <Input {...props} required maxLength={100} autoComplete="name" defaultValue={actionData?.name ?? ''} />
          )}
        />
        <FormField
          label="Password"
          name="password"
          error={errorOf(problem, 'password')}
          hint={`At least ${minPasswordLength} characters.`}
          control={(props) => (
            <Input {...props} type="password" required minLength={minPasswordLength} autoComplete="new-password" />
          )}
        />
        <SubmitButton pending="Joining…">Join and sign in</SubmitButton>
      </PostForm>
    </div>
  )
}

function Closed() {
  return (
    <div className="mx-auto max-w-md py-4">
      <PageHeader title="This invitation is not open" />
      <div className="grid gap-3 text-sm">
        <p>It was used, revoked or replaced by another one, or its 72 hours are over. Ask whoever invited you for a new link.</p>
        <p>
          <a href="/sign-in" className="text-primary underline underline-offset-4">
            Sign in
          </a>
        </p>
      </div>
    </div>
  )
}
