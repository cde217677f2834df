import { data, redirect } from 'react-router'
import { ErrorSummary } from '../components/error-summary.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { pageContext } from '../context.ts'
import { sameOriginPath } from '../lib/same-origin-path.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/sso-callback'

/** Where the provider sends people back to. */
export async function loader({ url, context }: Route.LoaderArgs) {
  const { sso } = context.get(pageContext)
  const result = await sso.finish(url.searchParams)
  if (result.ok) throw redirect(sameOriginPath(result.redirectTo, '/'), { headers: result.headers })
  return data({ problem: result.problem }, { status: result.problem.status, headers: { 'Set-Cookie': sso.clearCookie } })
}

export function headers({ loaderHeaders }: Route.HeadersArgs) {
  return loaderHeaders
}

export const meta: Route.MetaFunction = () => titled('Not signed in')

export default function SsoCallback({ loaderData: { problem } }: Route.ComponentProps) {
  return (
    <div className="mx-auto grid max-w-sm gap-4 py-8">
      <PageHeader title="You are not signed in" />
      <ErrorSummary problem={problem} labels={{}} />
      <p className="text-sm">
        <a href="/sign-in" className="text-primary underline underline-offset-4">
          Back to sign in
        </a>
      </p>
    </div>
  )
}
