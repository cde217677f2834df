import { ChevronRightIcon, CircleAlertIcon } from 'lucide-react'
import type { ComponentProps } from 'react'
import { data, Link } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FormField } from '../components/form-field.tsx'
import { KeyExpiry } from '../components/key-expiry.tsx'
import { KeyLimitFields } from '../components/key-limit-fields.tsx'
import { KeyReveal } from '../components/key-reveal.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { RoleCards } from '../components/role-cards.tsx'
import { Alert, AlertDescription, AlertTitle } from '../components/ui/alert.tsx'
import { Button } from '../components/ui/button.tsx'
import { Input } from '../components/ui/input.tsx'
import { type Problem, pageContext, problemOf } from '../context.ts'
import { type ExpiryChoices, expiresAtOf, expiryChoices } from '../lib/expiry.ts'
import { errorOf, type Fields, fieldProblem, textOf } from '../lib/form-fields.ts'
import { joinListErrors, type LimitValues, limitLabels, limitsOf, limitValuesOf } from '../lib/limits-form.ts'
import { leadToSignIn, withForm } from '../lib/sign-in-again.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/api-key-new'

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api, roles, scopes, maxKeyDays, origin } = context.get(pageContext)
  // Asks for nothing, but is refused to those who may not make keys.
  await api.apiKeys.list({ limit: 1 })
  return {
    formId: crypto.randomUUID(),
    roles: roles.filter(({ isGrantable }) => isGrantable),
    expiry: expiryChoices(maxKeyDays),
    scopes,
    origin,
    // Brought back from a fresh sign-in.
    values: url.searchParams.has('name') ? valuesOf(url.searchParams) : undefined,
  }
}

interface Values {
  name: string
  role: string
  expiry: string
  day: string
  limits: LimitValues
}

function valuesOf(form: Fields): Values {
  return {
    name: textOf(form, 'name'),
    role: textOf(form, 'role'),
    expiry: textOf(form, 'expiry'),
    day: textOf(form, 'day'),
    limits: limitValuesOf(form),
  }
}

/** Answers the key itself, not a redirect: no address leads to a key, so none can be visited twice. */
export async function action({ request, context }: Route.ActionArgs) {
  const { api, requestId, roles } = context.get(pageContext)
  const form = await request.formData()
  const values = valuesOf(form)
  const fail = (problem: Problem) => data({ created: undefined, problem, values }, { status: problem.status })
  const expiresAt = expiresAtOf(values.expiry, values.day)
  if (expiresAt === null) return fail(fieldProblem(requestId, 'expiresAt', 'Choose one of the periods, or a day.'))
  const role = roles.find((known) => known.role === values.role)?.role
  if (!role) return fail(fieldProblem(requestId, 'role', 'Choose a role.'))
  const limits = limitsOf(values.limits)
  try {
    const input = { name: values.name, role, expiresAt, ...limits, formId: textOf(form, 'formId') }
    const { id, name, key } = await api.apiKeys.create(input)
    return data(
      { created: { id, name, role, key, expiresAt: expiresAt ?? null }, problem: undefined, values },
      { status: 201, headers: { 'Cache-Control': 'no-store' } },
    )
  } catch (thrown) {
    const problem = problemOf(thrown)
    leadToSignIn(problem, withForm('/api-keys/new', form, ['formId']))
    return fail(joinListErrors(problem, limits))
  }
}

export function headers({ actionHeaders }: Route.HeadersArgs) {
  return actionHeaders
}

export const meta: Route.MetaFunction = () => titled('Generate a key')

export default function NewApiKey({ loaderData, actionData }: Route.ComponentProps) {
  if (actionData?.created) return <KeyReveal created={actionData.created} origin={loaderData.origin} startPath="/api-keys/new" />
  return (
    <div className="mx-auto max-w-2xl">
      <BackLink to="/api-keys">API Keys</BackLink>
      {errorOf(actionData?.problem, 'formId') ? (
        <SentBefore message={errorOf(actionData?.problem, 'formId')} />
      ) : (
        <>
          <PageHeader title="Generate a key" description="The key is shown once, on the next page." />
          <NewKeyForm {...loaderData} problem={actionData?.problem} values={actionData?.values ?? loaderData.values} />
        </>
      )}
    </div>
  )
}

const labels = { name: 'Name', role: 'Role', expiresAt: 'Expires', ...limitLabels }

interface NewKeyFormProps {
  formId: string
  roles: { role: string; permits: string }[]
  expiry: ExpiryChoices
  scopes: string[]
  problem: Problem | undefined
  values: Values | undefined
}

function NewKeyForm({ formId, roles, expiry, scopes, problem, values }: NewKeyFormProps) {
  return (
    <PostForm className="grid gap-6">
      <input type="hidden" name="formId" value={formId} autoComplete="off" />
      <ErrorSummary problem={problem} labels={labels} />
      <FormField
        label={labels.name}
        name="name"
        hint="What will use the key, e.g. ci-pipeline or integration-tests."
        error={errorOf(problem, 'name')}
        control={(props) => (
          <Input {...props} required maxLength={100} autoComplete="off" spellCheck={false} defaultValue={values?.name ?? ''} />
        )}
      />
      <RoleCards roles={roles} chosen={values?.role} error={errorOf(problem, 'role')} />
      <KeyExpiry choices={expiry} chosen={values?.expiry} day={values?.day} error={errorOf(problem, 'expiresAt')} />
      <Limits scopes={scopes} values={values?.limits} problem={problem} />
      <div className="flex gap-2 border-t pt-5">
        <SubmitButton pending="Generating…">Generate</SubmitButton>
        <Button asChild variant="ghost">
          <Link to="/api-keys">Cancel</Link>
        </Button>
      </div>
    </PostForm>
  )
}

/** Closed until somebody wants it, or something in it is wrong. */
function Limits(props: ComponentProps<typeof KeyLimitFields>) {
  const isOpen = Object.keys(limitLabels).some((field) => errorOf(props.problem, field))
  return (
    <details open={isOpen} className="group/limits">
      <summary className="flex w-fit cursor-pointer list-none items-center gap-1.5 rounded-sm text-sm font-medium hover:text-primary [&::-webkit-details-marker]:hidden">
        <ChevronRightIcon aria-hidden="true" className="size-4 group-open/limits:rotate-90" />
        Limits (optional)
      </summary>
      <div className="mt-4 grid gap-5">
        <KeyLimitFields {...props} />
      </div>
    </details>
  )
}

/** A form sent twice, by a refresh or a second click: the first time made the key, and its answer is gone. */
function SentBefore({ message }: { message: string | undefined }) {
  return (
    <>
      <PageHeader title="This form was sent before" />
      <Alert variant="warning" role="alert">
        <CircleAlertIcon aria-hidden="true" />
        <AlertTitle>No second key was made</AlertTitle>
        <AlertDescription>{message}</AlertDescription>
      </Alert>
      <div className="mt-5 flex flex-wrap gap-2">
        <Button asChild>
          <Link to="/api-keys">See all keys</Link>
        </Button>
        <Button asChild variant="outline">
          <Link to="/api-keys/new" reloadDocument>
            Generate another key
          </Link>
        </Button>
      </div>
    </>
  )
}
