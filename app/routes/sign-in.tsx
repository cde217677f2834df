import { data, Form, redirect } from 'react-router'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormField } from '../components/form-field.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PasskeySignIn } from '../components/passkey-button.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Button } from '../components/ui/button.tsx'
import { Input } from '../components/ui/input.tsx'
import { pageContext } from '../context.ts'
import { errorOf, textOf } from '../lib/form-fields.ts'
import { sameOriginPath } from '../lib/same-origin-path.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/sign-in'

export async function loader({ url, context }: Route.LoaderArgs) {
  const { user, sso } = context.get(pageContext)
  // Whom another page sent here to come back stays, or a session that ended meanwhile would send them round in circles.
  if (user && !url.searchParams.has('redirectTo')) throw redirect('/')
  return { providers: await sso.list(), redirectTo: destinationOf(url) }
}

export async function action({ request, url, context }: Route.ActionArgs) {
  const form = await request.formData()
  const email = textOf(form, 'email').trim()
  const result = await context.get(pageContext).signIn({ email, password: textOf(form, 'password') })
  if (result.ok) throw redirect(destinationOf(url), { headers: result.headers })
  return data({ problem: result.problem, email }, { status: result.problem.status })
}

function destinationOf(url: URL): string {
  return sameOriginPath(url.searchParams.get('redirectTo'), '/')
}

export const meta: Route.MetaFunction = () => titled('Sign in')

export default function SignIn({ loaderData: { providers, redirectTo }, actionData }: Route.ComponentProps) {
  const problem = actionData?.problem
  return (
    <div className="mx-auto max-w-sm py-8">
      <PageHeader title="Sign in" />
      <PostForm className="grid gap-5">
        <ErrorSummary problem={problem} labels={{ email: 'E-mail', password: 'Password' }} />
        <FormField
          label="E-mail"
          name="email"
          error={errorOf(problem, 'email')}
          control={(props) => (
            <Input {...props} type="email" required autoComplete="username" defaultValue={actionData?.email ?? ''} />
          )}
        />
        <FormField
          label="Password"
          name="password"
          error={errorOf(problem, 'password')}
          control={(props) => <Input {...props} type="password" required autoComplete="current-password" />}
        />
        <SubmitButton pending="Signing in…">Sign in</SubmitButton>
      </PostForm>
      <PasskeySignIn />
      <ProviderButtons providers={providers} redirectTo={redirectTo} />
    </div>
  )
}

/** Whole documents: the browser leaves for the provider. */
function ProviderButtons({ providers, redirectTo }: { providers: { id: string; name: string }[]; redirectTo: string }) {
  if (providers.length === 0) return null
  return (
    <Form method="post" action="/sso/start" reloadDocument className="mt-6 grid gap-2 border-t pt-6">
      <input type="hidden" name="redirectTo" value={redirectTo} />
      {providers.map(({ id, name }) => (
        <Button key={id} type="submit" name="providerId" value={id} variant="outline">
          Sign in with {name}
        </Button>
      ))}
    </Form>
  )
}
