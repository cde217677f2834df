import { data, Form, Link, redirect } from 'react-router'
import { CodeField } from '../components/code-field.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormField } from '../components/form-field.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PasskeyButton } from '../components/passkey-button.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Button } from '../components/ui/button.tsx'
import { Input } from '../components/ui/input.tsx'
import { pageContext } from '../context.ts'
import { errorOf, textOf } from '../lib/form-fields.ts'
import { sameOriginPath } from '../lib/same-origin-path.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/sign-in-again'

const destinationOf = (url: URL) => sameOriginPath(url.searchParams.get('redirectTo'), '/account')

export async function loader({ url, context }: Route.LoaderArgs) {
  return { ways: await context.get(pageContext).signInAgain.ways(), to: destinationOf(url) }
}

export async function action({ request, url, context }: Route.ActionArgs) {
  const { signInAgain } = context.get(pageContext)
  const form = await request.formData()
  const result = form.has('code')
    ? await signInAgain.byCode(textOf(form, 'code'))
    : await signInAgain.byPassword(textOf(form, 'password'))
  if (result.ok) throw redirect(destinationOf(url))
  return data({ problem: result.problem }, { status: result.problem.status })
}

export const meta: Route.MetaFunction = () => titled('Sign in again')

export default function SignInAgain({ loaderData: { ways, to }, actionData }: Route.ComponentProps) {
  const problem = actionData?.problem
  return (
    <div className="mx-auto max-w-sm py-8">
      <PageHeader
        title="Sign in again"
        description="What you are about to do asks for a sign-in of the last 5 minutes. You come back to where you were."
      />
      <div className="grid gap-5">
        {ways.passkey && <PasskeyButton purpose="again">Use a passkey</PasskeyButton>}
        {ways.code && (
          <PostForm className="grid gap-5">
            <ErrorSummary problem={problem} labels={{ code: 'Code' }} />
            <CodeField
              label="Code"
              hint="Six digits from your authenticator app, or one of your recovery codes."
              error={errorOf(problem, 'code')}
            />
            <SubmitButton pending="Checking…">Go on</SubmitButton>
          </PostForm>
        )}
        {ways.password && (
          <PostForm className="grid gap-5">
            <ErrorSummary problem={problem} labels={{ password: 'Password' }} />
            <input type="hidden" name="email" autoComplete="username" value={ways.email} />
            <FormField
              label="Password"
              name="password"
              error={errorOf(problem, 'password')}
              control={(props) => <Input {...props} type="password" required autoComplete="current-password" />}
            />
            <SubmitButton pending="Checking…">Go on</SubmitButton>
          </PostForm>
        )}
        {!ways.passkey && !ways.code && !ways.password && <ByProvider to={to} />}
        <Button asChild variant="ghost" className="justify-self-start">
          <Link to="/account">Cancel</Link>
        </Button>
      </div>
    </div>
  )
}

/** Who came by an identity provider has nothing to show here: the provider asks them. */
function ByProvider({ to }: { to: string }) {
  return (
    <Form action="/sign-in" className="grid gap-3 text-sm">
      <p>You sign in by your company’s provider. Sign in there again, and you come back.</p>
      <input type="hidden" name="redirectTo" value={to} />
      <Button type="submit" className="justify-self-start">
        Sign in
      </Button>
    </Form>
  )
}
