import { data, Link } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { Consequences } from '../components/consequences.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormField } from '../components/form-field.tsx'
import { KeySummary } from '../components/key-facts.tsx'
import { KeyReveal } from '../components/key-reveal.tsx'
import { LocalTime } from '../components/local-time.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { NativeSelect } from '../components/ui/native-select.tsx'
import { type Problem, pageContext, problemOf } from '../context.ts'
import { errorOf, textOf } from '../lib/form-fields.ts'
import { leadToSignIn, withForm } from '../lib/sign-in-again.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/api-key-rotate'

const overlaps = [
  { hours: 0, label: 'End at once' },
  { hours: 1, label: 'For 1 hour' },
  { hours: 24, label: 'For 24 hours' },
  { hours: 72, label: 'For 3 days' },
  { hours: 168, label: 'For 7 days' },
]

export async function loader({ url, params, context }: Route.LoaderArgs) {
  const { api, origin } = context.get(pageContext)
  // Brought back from a fresh sign-in.
  const overlap = url.searchParams.get('overlapHours') ?? undefined
  return { apiKey: await api.apiKeys.get({ id: params.id }), origin, overlap }
}

/** Answers the key itself, as api-key-new does. Sent twice, it is 409: a key is rotated once. */
export async function action({ request, params, context }: Route.ActionArgs) {
  const { api } = context.get(pageContext)
  const form = await request.formData()
  const overlap = textOf(form, 'overlapHours')
  try {
    const { id, name, role, key, expiresAt } = await api.apiKeys.rotate({ id: params.id, overlapHours: Number(overlap) })
    return data(
      { created: { id, name, role, key, expiresAt }, problem: undefined, overlap },
      { status: 201, headers: { 'Cache-Control': 'no-store' } },
    )
  } catch (thrown) {
    const problem = problemOf(thrown)
    leadToSignIn(problem, withForm(`/api-keys/${params.id}/rotate`, form))
    return data({ created: undefined, problem, overlap }, { status: problem.status })
  }
}

export function headers({ actionHeaders }: Route.HeadersArgs) {
  return actionHeaders
}

export const meta: Route.MetaFunction = ({ loaderData }) => titled(`Rotate ${loaderData?.apiKey.name ?? 'a key'}`)

export default function RotateApiKey({ loaderData: { apiKey, origin, overlap }, actionData }: Route.ComponentProps) {
  const path = `/api-keys/${apiKey.id}`
  if (actionData?.created) {
    return <KeyReveal created={actionData.created} origin={origin} startPath={path} note={<OldKey apiKey={apiKey} />} />
  }
  return (
    <div className="mx-auto max-w-xl">
      <BackLink to={path}>{apiKey.name}</BackLink>
      <PageHeader title="Rotate this key?" />
      <Card>
        <KeySummary apiKey={apiKey} />
        <Consequences>
          <li>The next page shows a new key, once: same name, role, limits and lifetime.</li>
          <li>Until the old key ends, its page shows who still uses it.</li>
        </Consequences>
        <RotateForm path={path} overlap={actionData?.overlap ?? overlap} problem={actionData?.problem} />
      </Card>
    </div>
  )
}

function OldKey({ apiKey: { id, status, rotatesOutAt } }: { apiKey: Route.ComponentProps['loaderData']['apiKey'] }) {
  if (status !== 'active' || !rotatesOutAt) return 'The old key has ended.'
  return (
    <>
      The old key works until <LocalTime instant={rotatesOutAt} />.{' '}
      <Link to={`/api-keys/${id}`} className="underline underline-offset-2">
        See who still uses it
      </Link>
    </>
  )
}

function RotateForm({
  path,
  overlap = '24',
  problem,
}: {
  path: string
  overlap: string | undefined
  problem: Problem | undefined
}) {
  return (
    <PostForm className="grid gap-5">
      <ErrorSummary problem={problem} labels={{ overlapHours: 'The old key works on' }} />
      <FormField
        label="The old key works on"
        name="overlapHours"
        error={errorOf(problem, 'overlapHours')}
        control={(props) => (
          <NativeSelect {...props} defaultValue={overlap} className="max-w-48">
            {overlaps.map(({ hours, label }) => (
              <option key={hours} value={hours}>
                {label}
              </option>
            ))}
          </NativeSelect>
        )}
      />
      <div className="flex gap-2">
        <SubmitButton pending="Rotating…">Rotate key</SubmitButton>
        <Button asChild variant="ghost">
          <Link to={path}>Cancel</Link>
        </Button>
      </div>
    </PostForm>
  )
}
