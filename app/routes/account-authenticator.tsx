import { data, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { RecoveryCodes } from '../components/recovery-codes.tsx'
import { TotpForm } from '../components/totp-form.tsx'
import { Card } from '../components/ui/card.tsx'
import { type PageContext, pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { textOf } from '../lib/form-fields.ts'
import { qrCode } from '../lib/qr.ts'
import { leadToSignIn, signInAgain } from '../lib/sign-in-again.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/account-authenticator'

const here = '/account/authenticator'

export async function loader({ context }: Route.LoaderArgs) {
  const page = context.get(pageContext)
  const { isFresh, factors } = await page.account.get()
  // Just added: the codes are being shown.
  if (factors.totpSince) return { offer: undefined }
  if (!isFresh) throw signInAgain(here)
  return { offer: await offerOf(page) }
}

async function offerOf({ factors }: PageContext, kept?: string) {
  const result = await factors.offerTotp(kept)
  if (!result.ok) throw signInAgain(here)
  const { sealed, secret, uri } = result.offer
  return { sealed, secret, qr: qrCode(uri) }
}

/** Answers the recovery codes themselves, not a redirect: they are shown once. */
export async function action({ request, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const form = await request.formData()
  const sealed = textOf(form, 'sealed')
  const result = await page.factors.addTotp({ sealed, code: textOf(form, 'code') })
  if (!result.ok) {
    leadToSignIn(result.problem, here)
    const offer = await offerOf(page, sealed)
    return data({ problem: result.problem, offer, shown: undefined }, { status: result.problem.status })
  }
  if (!result.codes) throw redirect('/account', { headers: await flashHeaders(page, 'The authenticator app is added.') })
  const shown = { codes: result.codes.join(' ') }
  return data({ problem: undefined, offer: undefined, shown }, { status: 201, headers: { 'Cache-Control': 'no-store' } })
}

export function headers({ actionHeaders }: Route.HeadersArgs) {
  return actionHeaders
}

export const meta: Route.MetaFunction = () => titled('Authenticator app')

export default function Authenticator({ loaderData, actionData }: Route.ComponentProps) {
  if (actionData?.shown) return <RecoveryCodes shown={actionData.shown} to="/account" />
  const offer = actionData?.offer ?? loaderData.offer
  return (
    <div className="mx-auto max-w-xl">
      <BackLink to="/account">Account</BackLink>
      <PageHeader title="Authenticator app" description={offer ? undefined : 'You have one. Remove it to set up another.'} />
      {offer && (
        <Card>
          <TotpForm offer={offer} problem={actionData?.problem} />
        </Card>
      )}
    </div>
  )
}
