import { ScrollTextIcon } from 'lucide-react'
import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { Fact, Facts } from '../components/key-facts.tsx'
import { LocalTime } from '../components/local-time.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { UserStatus } from '../components/user-status.tsx'
import { pageContext, problemOf } from '../context.ts'
import type { User } from '../lib/api-types.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { textOf } from '../lib/form-fields.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/user'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  const page = context.get(pageContext)
  const user = await page.api.users.get({ id })
  const isAbove = !page.roles.some(({ role, isGrantable }) => role === user.role && isGrantable)
  return { user, isSelf: page.user?.id === id, isAbove }
}

/** Gives the person their access back, or takes a second factor that they lost. */
export async function action({ request, params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const isReset = textOf(await request.formData(), 'intent') === 'reset'
  try {
    if (isReset) {
      const { name } = await page.api.users.resetSecondFactor({ id })
      const notice = `${name} is signed out, and signs in by password alone until they set up another second factor.`
      return redirect(`/users/${id}`, { headers: await flashHeaders(page, notice) })
    }
    const { name } = await page.api.users.reactivate({ id })
    return redirect(`/users/${id}`, { headers: await flashHeaders(page, `${name} may sign in again.`) })
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ problem }, { status: problem.status })
  }
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(loaderData?.user.name ?? 'User')

export default function UserPage({ loaderData: { user, isSelf, isAbove }, actionData }: Route.ComponentProps) {
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/users">Users</BackLink>
      <PageHeader
        title={user.name}
        description={<span className="wrap-anywhere">{user.email}</span>}
        actions={!isSelf && !isAbove && <Actions user={user} />}
      />
      <ErrorSummary problem={actionData?.problem} labels={{}} />
      <Card>
        <Facts>
          <Fact term="Status">
            <UserStatus isActive={user.isActive} />
          </Fact>
          <Fact term="Role">{user.role}</Fact>
          <Fact term="Since">
            <LocalTime instant={user.createdAt} />
          </Fact>
          <Fact term="Last signed in">{user.lastSignedInAt ? <LocalTime instant={user.lastSignedInAt} /> : 'Never'}</Fact>
          <Fact term="Signed in with">
            {user.sessionCount === 1 ? 'One browser' : user.sessionCount === 0 ? 'No browser' : `${user.sessionCount} browsers`}
          </Fact>
          <Fact term="API keys">{user.keyCount === 0 ? 'None that is active' : `${user.keyCount} active`}</Fact>
        </Facts>
        {isSelf && <p className="text-sm text-muted-foreground">This is you. Another admin changes your role or access.</p>}
        {isAbove && <p className="text-sm text-muted-foreground">{`Only a ${user.role} changes a ${user.role}.`}</p>}
        <div className="flex flex-wrap items-center justify-between gap-3">
          {user.isActive && !isSelf && !isAbove ? (
            <details className="text-sm">
              <summary className="w-fit cursor-pointer text-muted-foreground">They lost their second factor</summary>
              <PostForm className="mt-3 grid justify-items-start gap-3">
                <p className="max-w-prose text-muted-foreground">
                  Their passkeys, authenticator app and recovery codes go, and their sessions end. Make sure that it is they who
                  ask.
                </p>
                <SubmitButton name="intent" value="reset" variant="outline" size="sm" pending="Resetting…">
                  Reset second factor
                </SubmitButton>
              </PostForm>
            </details>
          ) : (
            <span />
          )}
          <Button asChild variant="link" size="xs">
            <Link to={`/audit-log?search=${user.id}`}>
              <ScrollTextIcon aria-hidden="true" />
              What they did, in the audit log
            </Link>
          </Button>
        </div>
      </Card>
    </div>
  )
}

function Actions({ user: { id, isActive } }: { user: User }) {
  return (
    <>
      <Button asChild variant="outline" size="sm">
        <Link to={`/users/${id}/role`}>Change role</Link>
      </Button>
      {isActive ? (
        <Button asChild variant="outline" size="sm" className="text-destructive hover:text-destructive">
          <Link to={`/users/${id}/deactivate`}>Deactivate</Link>
        </Button>
      ) : (
        <>
          <PostForm>
            <SubmitButton variant="outline" size="sm" pending="Reactivating…">
              Reactivate
            </SubmitButton>
          </PostForm>
          <Button asChild variant="outline" size="sm" className="text-destructive hover:text-destructive">
            <Link to={`/users/${id}/delete`}>Remove</Link>
          </Button>
        </>
      )}
    </>
  )
}
