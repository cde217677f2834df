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
import type { Route } from './+types/api-keys-freeze'

export async function loader({ context }: Route.LoaderArgs) {
  const { frozenAt } = await context.get(pageContext).api.apiKeys.getFreeze({})
  return { isFrozen: frozenAt !== null }
}

export async function action({ request, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const form = await request.formData()
  const reason = textOf(form, 'reason')
  const isUnfreeze = textOf(form, 'intent') === 'unfreeze'
  try {
    await (isUnfreeze ? page.api.apiKeys.unfreeze({ reason }) : page.api.apiKeys.freeze({ reason }))
    const notice = isUnfreeze ? 'The keys work again.' : 'All keys are frozen: each is refused from now on, everywhere.'
    return redirect('/api-keys', { headers: await flashHeaders(page, notice) })
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ problem, reason }, { status: problem.status })
  }
}

const wordings = {
  freeze: {
    title: 'Freeze all API keys?',
    effects: [
      'Every key of this company is refused, before this page answers, on every node.',
      'Nothing is lost: unfreeze, and they work as before.',
      'People stay signed in, and this page keeps working.',
    ],
    button: 'Freeze all keys',
    pending: 'Freezing…',
  },
  unfreeze: {
    title: 'Unfreeze all API keys?',
    effects: ['Every key works again, but for those that are revoked, expired or rotated out.'],
    button: 'Unfreeze all keys',
    pending: 'Unfreezing…',
  },
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(loaderData?.isFrozen ? 'Unfreeze keys' : 'Freeze keys')

export default function FreezeApiKeys({ loaderData: { isFrozen }, actionData }: Route.ComponentProps) {
  const intent = isFrozen ? 'unfreeze' : 'freeze'
  const { title, effects, button, pending } = wordings[intent]
  return (
    <div className="mx-auto max-w-xl">
      <BackLink to="/api-keys">API Keys</BackLink>
      <PageHeader title={title} />
      <Card>
        <Consequences>
          {effects.map((effect) => (
            <li key={effect}>{effect}</li>
          ))}
        </Consequences>
        <PostForm className="grid gap-5">
          <ErrorSummary problem={actionData?.problem} labels={{ reason: 'Reason' }} />
          <ReasonField problem={actionData?.problem} reason={actionData?.reason} />
          <div className="flex gap-2">
            <SubmitButton name="intent" value={intent} variant={isFrozen ? 'default' : 'destructive'} pending={pending}>
              {button}
            </SubmitButton>
            <Button asChild variant="ghost">
              <Link to="/api-keys">Cancel</Link>
            </Button>
          </div>
        </PostForm>
      </Card>
    </div>
  )
}
