import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { Consequences } from '../components/consequences.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { ReasonField } from '../components/reason-field.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { textOf } from '../lib/form-fields.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/tenant-deactivate'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  return { tenant: await context.get(pageContext).api.tenants.get({ id }) }
}

export async function action({ request, params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const reason = textOf(await request.formData(), 'reason')
  try {
    await page.api.tenants.deactivate({ id, reason })
    const notice = 'The tenant is deactivated: its keys and sessions are refused from now on, everywhere.'
    return redirect(`/tenants/${id}`, { headers: await flashHeaders(page, notice) })
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ problem, reason }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = () => titled('Deactivate a tenant')

const some = (count: number, one: string, many: string) => `${count.toLocaleString('en')} ${count === 1 ? one : many}`

export default function DeactivateTenant({ loaderData: { tenant }, actionData }: Route.ComponentProps) {
  const { id, name, used } = tenant
  const to = `/tenants/${id}`
  const effects = [
    `${some(used.maxApiKeys, 'active API key is', 'active API keys are')} refused, before this page answers, on every node.`,
    `${some(used.maxUsers, 'active user is', 'active users are')} signed out of every page, and can’t sign in.`,
    'Runs that wait or go on are cancelled.',
    'Nothing is sent to its webhooks: it waits. You can look at the tenant, and change nothing in it.',
    'Nothing is lost: reactivate it, and all but the runs is as before.',
  ]
  return (
    <div className="mx-auto max-w-xl">
      <BackLink to={to}>{name}</BackLink>
      <PageHeader title="Deactivate this tenant?" description={<span className="wrap-anywhere">{name}</span>} />
      <Card>
        <Consequences>
          {effects.map((effect) => (
            <li key={effect}>{effect}</li>
          ))}
        </Consequences>
        <PostForm className="grid gap-5">
          <ErrorSummary problem={actionData?.problem} labels={{ reason: 'Reason' }} />
          <ReasonField problem={actionData?.problem} reason={actionData?.reason} hint="For the tenant’s audit log." />
          <div className="flex gap-2">
            <SubmitButton variant="destructive" pending="Deactivating…">
              Deactivate tenant
            </SubmitButton>
            <Button asChild variant="ghost">
              <Link to={to}>Cancel</Link>
            </Button>
          </div>
        </PostForm>
      </Card>
    </div>
  )
}
