import { data } from 'react-router'
import { ErrorSummary } from '../components/error-summary.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { pageContext } from '../context.ts'
import { textOf } from '../lib/form-fields.ts'
import { sameOriginPath } from '../lib/same-origin-path.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/sso-start'

/**
 * Answers a page that leads on, and not a redirect: browsers hold a form's redirects to `form-action` too, and ours stays
 * `'self'`.
 */
export async function action({ request, context }: Route.ActionArgs) {
  const form = await request.formData()
  const redirectTo = sameOriginPath(textOf(form, 'redirectTo'), '/')
  const result = await context.get(pageContext).sso.begin({ providerId: textOf(form, 'providerId'), redirectTo })
  if (!result.ok) return data({ next: undefined, problem: result.problem }, { status: result.problem.status })
  const { name, url, headers } = result
  return data({ next: { name, url }, problem: undefined }, { headers })
}

export function headers({ actionHeaders }: Route.HeadersArgs) {
  return actionHeaders
}

export const meta: Route.MetaFunction = () => titled('Sign in')

export default function SsoStart({ actionData }: Route.ComponentProps) {
  const { next, problem } = actionData ?? {}
  return (
    <div className="mx-auto grid max-w-sm gap-4 py-8">
      <PageHeader title={next ? `On to ${next.name} …` : 'Sign in'} />
      <ErrorSummary problem={problem} labels={{}} />
      {next && <meta httpEquiv="refresh" content={`0;url=${next.url}`} />}
      <p className="text-sm">
        <a href={next?.url ?? '/sign-in'} className="text-primary underline underline-offset-4">
          {next ? `Continue to ${next.name}` : 'Back to sign in'}
        </a>
      </p>
    </div>
  )
}
