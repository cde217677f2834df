import { data, Link } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormField } from '../components/form-field.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { RoleCards } from '../components/role-cards.tsx'
import { SecretField } from '../components/secret-field.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { Input } from '../components/ui/input.tsx'
import { pageContext, problemOf, type Role } from '../context.ts'
import { errorOf, textOf } from '../lib/form-fields.ts'
import { titled } from '../lib/titles.ts'
import { useSecretUntilLeft } from '../lib/use-secret-until-left.ts'
import type { Route } from './+types/user-invite'

export function loader({ context }: Route.LoaderArgs) {
  const { requireMay, roles } = context.get(pageContext)
  requireMay('invitations.create')
  return { roles: roles.filter(({ isGrantable }) => isGrantable).map(({ role, permits }) => ({ role, permits })) }
}

/** Answers the link itself, not a redirect, as a new key's form does. */
export async function action({ request, context }: Route.ActionArgs) {
  const { api, origin } = context.get(pageContext)
  const form = await request.formData()
  const values = { email: textOf(form, 'email').trim(), role: textOf(form, 'role') }
  try {
    // Checked by the procedure: a form may send anything.
    const { id, email, role, link, mail } = await api.invitations.create({ ...values, role: values.role as Role })
    const created = { id, email, role, mail, link: new URL(link, origin).href }
    return data({ created, problem: undefined, values }, { status: 201, headers: { 'Cache-Control': 'no-store' } })
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ created: undefined, problem, values }, { status: problem.status })
  }
}

export function headers({ actionHeaders }: Route.HeadersArgs) {
  return actionHeaders
}

export const meta: Route.MetaFunction = () => titled('Invite a user')

export default function InviteUser({ loaderData: { roles }, actionData }: Route.ComponentProps) {
  if (actionData?.created) return <InvitationLink created={actionData.created} />
  const { problem, values } = actionData ?? {}
  return (
    <div className="mx-auto max-w-xl">
      <BackLink to="/users">Users</BackLink>
      <PageHeader
        title="Invite a user"
        description="They get a link that is good once, for 72 hours, and choose their password."
      />
      <PostForm className="grid gap-6">
        <ErrorSummary problem={problem} labels={{ email: 'E-mail', role: 'Role' }} />
        <FormField
          label="E-mail"
          name="email"
          error={errorOf(problem, 'email')}
          control={(props) => (
            <Input {...props} type="email" required maxLength={254} autoComplete="off" defaultValue={values?.email ?? ''} />
          )}
        />
        <RoleCards roles={roles} chosen={values?.role} error={errorOf(problem, 'role')} />
        <div className="flex gap-2 border-t pt-5">
          <SubmitButton pending="Inviting…">Invite</SubmitButton>
          <Button asChild variant="ghost">
            <Link to="/users">Cancel</Link>
          </Button>
        </div>
      </PostForm>
    </div>
  )
}

const mailed = {
  sent: 'It was sent to them by e-mail, too.',
  failed: 'The e-mail could not be sent: give them the link yourself. The server’s log says why.',
  'not configured': 'Give it to them yourself: this deployment sends no e-mail.',
} as const

interface InvitationLinkProps {
  created: { id: string; email: string; role: string; link: string; mail: keyof typeof mailed }
}

/** The only time that the link is shown. */
function InvitationLink({ created }: InvitationLinkProps) {
  const link = useSecretUntilLeft(created, 'link', '/users')
  return (
    <div className="mx-auto max-w-2xl">
      <PageHeader title="Copy the link now" description={`${created.email} · ${created.role} · good once, for 72 hours`} />
      <Card>
        <SecretField
          id="link"
          label="Invitation link"
          value={link}
          warning="You will not see it again. Whoever opens it first becomes this user."
        />
        <p className="text-sm text-muted-foreground">{mailed[created.mail]}</p>
        <Button asChild variant="outline" className="justify-self-start self-start">
          <Link to="/users">Done</Link>
        </Button>
      </Card>
    </div>
  )
}
