import { data, Form, redirect } from 'react-router'
import { AddPasskeyForm } from '../components/add-passkey-form.tsx'
import { CodeField } from '../components/code-field.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PasskeyButton } from '../components/passkey-button.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { RecoveryCodes } from '../components/recovery-codes.tsx'
import { type ShownOffer, TotpForm } from '../components/totp-form.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card, CardDescription, CardTitle } from '../components/ui/card.tsx'
import { type Problem, pageContext } from '../context.ts'
import { errorOf, textOf } from '../lib/form-fields.ts'
import { qrCode } from '../lib/qr.ts'
import { sameOriginPath } from '../lib/same-origin-path.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/sign-in-second-factor'

const destinationOf = (url: URL) => sameOriginPath(url.searchParams.get('redirectTo'), '/')

export async function loader({ url, context }: Route.LoaderArgs) {
  const { user, secondFactor, factors } = context.get(pageContext)
  const to = destinationOf(url)
  // Opened by this page's form, which has recovery codes to show: asked again, it must not lead away from them.
  if (user || secondFactor.isOpened()) return { pending: undefined, offer: undefined, to }
  const pending = await secondFactor.find()
  if (!pending) throw redirect(`/sign-in?redirectTo=${encodeURIComponent(to)}`)
  const made = pending.mustSetUp ? await factors.offerTotp() : undefined
  return { pending, offer: made?.ok ? shown(made.offer) : undefined, to }
}

export async function action({ request, url, context }: Route.ActionArgs) {
  const { secondFactor, factors } = context.get(pageContext)
  const form = await request.formData()
  const code = textOf(form, 'code')
  switch (textOf(form, 'intent')) {
    case 'leave':
      await secondFactor.leave()
      throw redirect('/sign-in')
    case 'totp': {
      const sealed = textOf(form, 'sealed')
      const result = await factors.addTotp({ sealed, code })
      if (result.ok) return added(result)
      const kept = await factors.offerTotp(sealed)
      return failed({ problem: result.problem, offer: kept.ok ? shown(kept.offer) : undefined })
    }
    case 'passkey': {
      const result = await factors.addPasskey({ name: textOf(form, 'name'), response: textOf(form, 'response') })
      return result.ok ? added(result) : failed({ problem: result.problem, name: textOf(form, 'name'), isPasskey: true })
    }
    default: {
      const result = await secondFactor.enterByCode(code)
      if (result.ok) throw redirect(destinationOf(url), { headers: result.headers })
      return failed({ problem: result.problem })
    }
  }
}

interface Failed {
  problem: Problem
  offer?: ShownOffer | undefined
  name?: string
  isPasskey?: boolean
}

const failed = (failure: Failed) => data({ failure, shown: undefined }, { status: failure.problem.status })

function added({ codes, headers }: { codes: string[] | null; headers: Headers }) {
  headers.set('Cache-Control', 'no-store')
  return data({ failure: undefined, shown: { codes: codes?.join(' ') ?? '' } }, { status: 201, headers })
}

function shown({ sealed, secret, uri }: { sealed: string; secret: string; uri: string }): ShownOffer {
  return { sealed, secret, qr: qrCode(uri) }
}

export function headers({ actionHeaders }: Route.HeadersArgs) {
  return actionHeaders
}

export const meta: Route.MetaFunction = () => titled('Second factor')

export default function SecondFactor({ loaderData: { pending, offer, to }, actionData }: Route.ComponentProps) {
  const failure = actionData?.failure
  if (actionData?.shown) return <RecoveryCodes shown={actionData.shown} to={to} />
  if (!pending) return <SignedIn to={to} />
  if (pending.mustSetUp) return <SetUp offer={failure?.offer ?? offer} failure={failure} email={pending.email} />
  return (
    <div className="mx-auto max-w-sm py-8">
      <PageHeader title="Second factor" description={pending.email} />
      <div className="grid gap-5">
        {pending.passkey && (
          <PasskeyButton purpose="second-factor" variant={pending.code ? 'outline' : 'default'}>
            Use a passkey
          </PasskeyButton>
        )}
        {pending.code && (
          <PostForm className="grid gap-5">
            <ErrorSummary problem={failure?.problem} labels={{ code: 'Code' }} />
            <CodeField
              label="Code"
              hint="Six digits from your authenticator app, or one of your recovery codes."
              error={errorOf(failure?.problem, 'code')}
            />
            <SubmitButton pending="Checking…">Sign in</SubmitButton>
          </PostForm>
        )}
        <Leave />
      </div>
    </div>
  )
}

/** Of an admin who must have a second factor, and has none yet. */
function SetUp({ offer, failure, email }: { offer: ShownOffer | undefined; failure: Failed | undefined; email: string }) {
  return (
    <div className="mx-auto max-w-xl py-4">
      <PageHeader
        title="Set up a second factor"
        description={`Your tenant asks its admins for one. Choose one of the two; you can add the other later. You are ${email}.`}
      />
      <div className="grid gap-5">
        <Card>
          <CardTitle>Authenticator app</CardTitle>
          {offer && <TotpForm offer={offer} problem={failure?.isPasskey ? undefined : failure?.problem} />}
        </Card>
        <Card>
          <div className="grid gap-1">
            <CardTitle>Passkey</CardTitle>
            <CardDescription>Your fingerprint, your face or a PIN, on this device or a security key.</CardDescription>
          </div>
          <AddPasskeyForm problem={failure?.isPasskey ? failure.problem : undefined} name={failure?.name} />
        </Card>
        <Leave />
      </div>
    </div>
  )
}

function Leave() {
  return (
    <Form method="post" className="text-sm">
      <Button type="submit" variant="link" className="h-auto px-0" name="intent" value="leave">
        Sign in as somebody else
      </Button>
    </Form>
  )
}

function SignedIn({ to }: { to: string }) {
  return (
    <div className="mx-auto max-w-sm py-8">
      <PageHeader title="You are signed in" />
      <Button asChild>
        <a href={to}>Go on</a>
      </Button>
    </div>
  )
}
