import { data, redirect } from 'react-router'
import { AddPasskeyForm } from '../components/add-passkey-form.tsx'
import { BackLink } from '../components/back-link.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { RecoveryCodes } from '../components/recovery-codes.tsx'
import { Card } from '../components/ui/card.tsx'
import { pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { textOf } from '../lib/form-fields.ts'
import { leadToSignIn, signInAgain } from '../lib/sign-in-again.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/account-passkey-new'

const here = '/account/passkeys/new'

export async function loader({ context }: Route.LoaderArgs) {
  if (!(await context.get(pageContext).account.get()).isFresh) throw signInAgain(here)
  return null
}

/** Of the first factor it answers the recovery codes themselves, not a redirect: they are shown once. */
export async function action({ request, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const form = await request.formData()
  const name = textOf(form, 'name')
  const result = await page.factors.addPasskey({ name, response: textOf(form, 'response') })
  if (!result.ok) {
    leadToSignIn(result.problem, here)
    return data({ problem: result.problem, name, shown: undefined }, { status: result.problem.status })
  }
  if (!result.codes) throw redirect('/account', { headers: await flashHeaders(page, `The passkey “${name}” is added.`) })
  const shown = { codes: result.codes.join(' ') }
  return data({ problem: undefined, name, shown }, { status: 201, headers: { 'Cache-Control': 'no-store' } })
}

export function headers({ actionHeaders }: Route.HeadersArgs) {
  return actionHeaders
}

export const meta: Route.MetaFunction = () => titled('Add a passkey')

export default function NewPasskey({ actionData }: Route.ComponentProps) {
  if (actionData?.shown) return <RecoveryCodes shown={actionData.shown} to="/account" />
  return (
    <div className="mx-auto max-w-xl">
      <BackLink to="/account">Account</BackLink>
      <PageHeader
        title="Add a passkey"
        description="Your fingerprint, your face or a PIN signs you in, without your password: on this device, a phone or a security key."
      />
      <Card>
        <AddPasskeyForm problem={actionData?.problem} name={actionData?.name} />
      </Card>
    </div>
  )
}
