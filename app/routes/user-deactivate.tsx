import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { Consequences } from '../components/consequences.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { KeyFates } from '../components/key-fates.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { heirsOf } from '../lib/heirs.ts'
import { leavingFates, offBoardingLabels, offBoardingOf } from '../lib/off-boarding-form.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/user-deactivate'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  const { api } = context.get(pageContext)
  const user = await api.users.get({ id })
  const affected = await api.users.listKeys({ id })
  return { user, affected, heirs: affected.keys.length > 0 ? await heirsOf(api, user) : [] }
}

export async function action({ request, params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const { values, input } = offBoardingOf(await request.formData(), leavingFates)
  try {
    const { name } = await page.api.users.deactivate({ id, ...input })
    const notice = `${name} is deactivated: signed out everywhere, and refused from now on.`
    return redirect(`/users/${id}`, { headers: await flashHeaders(page, notice) })
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(`Deactivate ${loaderData?.user.name ?? 'a user'}`)

export default function DeactivateUser({ loaderData: { user, affected, heirs }, actionData }: Route.ComponentProps) {
  const to = `/users/${user.id}`
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to={to}>{user.name}</BackLink>
      <PageHeader title={`Deactivate ${user.name}?`} description={<span className="wrap-anywhere">{user.email}</span>} />
      <Card>
        <Consequences>
          <li>They are signed out everywhere before this page answers, and can’t sign in again.</li>
          <li>The invitations that they sent open nothing any more.</li>
          <li>What is done with their keys is done in the same moment. All of it stands in the audit log.</li>
        </Consequences>
        <PostForm className="grid gap-5">
          <ErrorSummary problem={actionData?.problem} labels={offBoardingLabels} />
          <KeyFates
            affected={affected}
            options={leavingFates}
            heirs={heirs}
            values={actionData?.values}
            problem={actionData?.problem}
          />
          <div className="flex gap-2">
            <SubmitButton variant="destructive" pending="Deactivating…">
              Deactivate
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
