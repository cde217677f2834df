import { data, Form, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { Consequences } from '../components/consequences.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { KeyFates } from '../components/key-fates.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { RoleCards } from '../components/role-cards.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { pageContext, problemOf } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { heirsOf } from '../lib/heirs.ts'
import { loweringFates, offBoardingLabels, offBoardingOf } from '../lib/off-boarding-form.ts'
import { chosen } from '../lib/search-params.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/user-role'

/** In two steps: which role, then what it ends, to confirm. */
export async function loader({ url, params: { id }, context }: Route.LoaderArgs) {
  const { api, roles } = context.get(pageContext)
  const user = await api.users.get({ id })
  const grantable = roles.filter(({ isGrantable }) => isGrantable).map(({ role, permits }) => ({ role, permits }))
  const names = roles.map(({ role }) => role)
  const { value: role } = chosen(url.searchParams, 'role', names)
  if (!role || role === user.role) return { user, grantable, next: undefined }
  const isLower = names.indexOf(role) < names.indexOf(user.role)
  const affected = isLower ? await api.users.listKeys({ id, role }) : { digest: '', keys: [] }
  const heirs = affected.keys.length > 0 ? await heirsOf(api, user) : []
  return { user, grantable, next: { role, isLower, affected, heirs } }
}

export async function action({ request, url, params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const { value: role } = chosen(
    url.searchParams,
    'role',
    page.roles.map((known) => known.role),
  )
  const { values, input } = offBoardingOf(await request.formData(), loweringFates)
  try {
    const { name } = await page.api.users.update({ id, role, ...input, digest: input.digest || undefined })
    return redirect(`/users/${id}`, { headers: await flashHeaders(page, `${name} is ${role} now.`) })
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ problem, values }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(`Role of ${loaderData?.user.name ?? 'a user'}`)

export default function UserRole({ loaderData: { user, grantable, next }, actionData }: Route.ComponentProps) {
  const to = `/users/${user.id}`
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to={to}>{user.name}</BackLink>
      <PageHeader
        title={next ? `Make ${user.name} ${next.role}?` : `Role of ${user.name}`}
        description={<span className="wrap-anywhere">{`${user.email} · ${user.role} now`}</span>}
      />
      <Card>
        {next ? (
          <PostForm className="grid gap-5">
            <ErrorSummary problem={actionData?.problem} labels={offBoardingLabels} />
            {next.isLower && (
              <Consequences>
                <li>They are signed out everywhere, and sign in again with the new role.</li>
                <li>Nothing that they asked for with the old role can commit once this page answers.</li>
                <li>Keys of theirs above {next.role} are settled in the same moment.</li>
              </Consequences>
            )}
            <KeyFates
              affected={next.affected}
              options={loweringFates}
              heirs={next.heirs}
              values={actionData?.values}
              problem={actionData?.problem}
            />
            <div className="flex gap-2">
              <SubmitButton variant={next.isLower ? 'destructive' : 'default'} pending="Saving…">
                Make {next.role}
              </SubmitButton>
              <Button asChild variant="ghost">
                <Link to="?">Back</Link>
              </Button>
            </div>
          </PostForm>
        ) : (
          <Form className="grid gap-5">
            <RoleCards roles={grantable} chosen={user.role} error={undefined} />
            <Button type="submit" className="justify-self-start">
              Continue
            </Button>
          </Form>
        )}
      </Card>
    </div>
  )
}
