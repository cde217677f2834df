import { data, Link, redirect } from 'react-router'
import { CheckField } from '../components/check-field.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FieldError } from '../components/form-field.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { errorOf, textOf } from '../lib/form-fields.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/sign-in-policy'

export async function loader({ context }: Route.LoaderArgs) {
  const { api, may } = context.get(pageContext)
  return { policy: await api.signInPolicy.get({}), mayManageProviders: may('identityProviders.list') }
}

export async function action({ request, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const form = await request.formData()
  const values = {
    isSsoOnly: textOf(form, 'isSsoOnly') === 'yes',
    requiresSecondFactor: textOf(form, 'requiresSecondFactor') === 'yes',
  }
  try {
    await page.api.signInPolicy.update(values)
    return redirect('/sign-in-policy', { headers: await flashHeaders(page, 'The sign-in policy is saved.') })
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = () => titled('Sign-in policy')

export default function SignInPolicy({ loaderData: { policy, mayManageProviders }, actionData }: Route.ComponentProps) {
  const values = actionData?.values ?? policy
  const error = errorOf(actionData?.problem, 'isSsoOnly')
  return (
    <div className="mx-auto max-w-2xl">
      <PageHeader
        title="Sign-in policy"
        description="How the people of this tenant have to sign in. API keys are not concerned."
        actions={mayManageProviders && <ProvidersLink />}
      />
      <Card>
        <PostForm className="grid gap-5">
          <ErrorSummary problem={actionData?.problem} labels={{ isSsoOnly: 'Single sign-on only' }} />
          <div className="grid gap-1.5">
            <CheckField
              id="isSsoOnly"
              name="isSsoOnly"
              defaultChecked={values.isSsoOnly}
              aria-describedby={error ? 'isSsoOnly-error isSsoOnly-hint' : 'isSsoOnly-hint'}
            >
              Single sign-on only: passwords are refused
            </CheckField>
            <FieldError id="isSsoOnly-error" error={error} />
            <p id="isSsoOnly-hint" className="pl-6.5 text-sm text-muted-foreground">
              {policy.providers.length > 0
                ? `People sign in with ${policy.providers.join(' or ')}. A SuperAdmin’s password opens all the same.`
                : 'No identity provider lets people into this tenant yet. A SuperAdmin adds one.'}
            </p>
          </div>
          <CheckField name="requiresSecondFactor" defaultChecked={values.requiresSecondFactor}>
            Admins need a second factor beside their password
          </CheckField>
          <div className="border-t pt-5">
            <SubmitButton pending="Saving…">Save</SubmitButton>
          </div>
        </PostForm>
      </Card>
    </div>
  )
}

function ProvidersLink() {
  return (
    <Button asChild variant="outline" size="sm">
      <Link to="/identity-providers">Identity providers</Link>
    </Button>
  )
}
