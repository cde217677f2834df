import { data, Link, redirect } from 'react-router'
import { BackLink } from '../components/back-link.tsx'
import { ErrorSummary } from '../components/error-summary.tsx'
import { FilterForm, FilterInput, FilterSelect } from '../components/filter-form.tsx'
import { AddressNotice, EmptyState } from '../components/list-chrome.tsx'
import { LocalTime } from '../components/local-time.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { PostForm, SubmitButton } from '../components/post-form.tsx'
import { ReasonField } from '../components/reason-field.tsx'
import { Card } from '../components/ui/card.tsx'
import { type PageContext, type Problem, pageContext, problemOf } from '../context.ts'
import type { BulkRevocation } from '../lib/api-types.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { textOf } from '../lib/form-fields.ts'
import { chosen, ignoredOf } from '../lib/search-params.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/api-keys-bulk-revoke'

const periods = ['30', '60', '90', '180', '365'] as const

/** What the address asks for; the form for revoking is sent to the same address. */
function filterOf(params: URLSearchParams, roles: PageContext['roles']) {
  const role = chosen(
    params,
    'role',
    roles.map((known) => known.role),
  )
  const unused = chosen(params, 'unusedForDays', periods)
  const filter = {
    search: params.get('search')?.trim() || undefined,
    createdBy: params.get('createdBy')?.trim() || undefined,
    role: role.value,
    unusedForDays: unused.value === undefined ? undefined : Number(unused.value),
  }
  return { filter, isFiltered: Object.values(filter).some((value) => value !== undefined), ignored: ignoredOf(role, unused) }
}

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api, roles } = context.get(pageContext)
  const { filter, isFiltered, ignored } = filterOf(url.searchParams, roles)
  const shared = { filter, isFiltered, ignored, roles: roles.filter(({ isGrantable }) => isGrantable).map(({ role }) => role) }
  try {
    // Refuses those who may not, and asks for nothing before there is a filter.
    await api.apiKeys.getFreeze({})
    const preview = isFiltered ? await api.apiKeys.bulkRevoke({ ...filter, dryRun: true }) : undefined
    return data({ ...shared, preview, problem: undefined })
  } catch (thrown) {
    const problem = problemOf(thrown)
    if (problem.status !== 400) throw thrown
    return data({ ...shared, preview: undefined, problem }, { status: 400 })
  }
}

export async function action({ request, url, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const form = await request.formData()
  const { filter } = filterOf(url.searchParams, page.roles)
  const reason = textOf(form, 'reason')
  try {
    const { count } = await page.api.apiKeys.bulkRevoke({ ...filter, digest: textOf(form, 'digest'), reason })
    const notice = `${countOf(count)} revoked. They are refused from now on, everywhere.`
    return redirect('/api-keys', { headers: await flashHeaders(page, notice) })
  } catch (thrown) {
    const problem = problemOf(thrown)
    return data({ problem, reason }, { status: problem.status })
  }
}

const countOf = (count: number) => `${count} ${count === 1 ? 'key is' : 'keys are'}`

export const meta: Route.MetaFunction = () => titled('Revoke several keys')

export default function BulkRevoke({ loaderData, actionData }: Route.ComponentProps) {
  const { filter, isFiltered, ignored, preview, problem, roles } = loaderData
  return (
    <div className="mx-auto max-w-3xl">
      <BackLink to="/api-keys">API Keys</BackLink>
      <PageHeader title="Revoke several keys" description="Choose which, look at them, then revoke them together." />
      <AddressNotice problem={problem} ignored={ignored} />
      <FilterForm isFiltered={isFiltered}>
        <FilterInput
          label="Name"
          name="search"
          type="search"
          placeholder="A part of it"
          value={filter.search}
          className="min-w-0 grow basis-40"
        />
        <FilterInput label="Created by" name="createdBy" value={filter.createdBy} className="min-w-0 grow basis-40" />
        <FilterSelect
          label="Role"
          name="role"
          value={filter.role}
          options={roles.map((value) => ({ value, label: value }))}
          className="w-36"
        />
        <FilterSelect
          label="Not used for"
          name="unusedForDays"
          value={filter.unusedForDays === undefined ? undefined : String(filter.unusedForDays)}
          options={periods.map((value) => ({ value, label: `${value} days` }))}
          className="w-32"
        />
      </FilterForm>
      {preview && <Preview preview={preview} problem={actionData?.problem} reason={actionData?.reason ?? ''} />}
    </div>
  )
}

interface PreviewProps {
  preview: BulkRevocation
  problem: Problem | undefined
  reason: string
}

function Preview({ preview: { count, keys, digest, hasMore, leftOut }, problem, reason }: PreviewProps) {
  if (count === 0) {
    return (
      <Card>
        <EmptyState title="No active key matches">
          <p>Revoked, expired and rotated-out keys are refused already.</p>
        </EmptyState>
      </Card>
    )
  }
  return (
    <Card>
      <h2 className="font-medium">
        {hasMore ? `The ${count} oldest keys that match` : `${count} active ${count === 1 ? 'key matches' : 'keys match'}`}
      </h2>
      <ul className="grid max-h-96 divide-y overflow-y-auto rounded-md border text-sm" tabIndex={-1}>
        {keys.map(({ id, name, prefix, role, lastUsedAt }) => (
          <li key={id} className="flex flex-wrap items-baseline gap-x-4 gap-y-0.5 px-3 py-2">
            <Link to={`/api-keys/${id}`} className="font-medium wrap-anywhere hover:underline">
              {name}
            </Link>
            <span className="font-mono text-[0.8125rem] text-muted-foreground">{prefix}…</span>
            <span className="text-muted-foreground">{role}</span>
            <span className="text-muted-foreground sm:ml-auto">
              {lastUsedAt ? (
                <>
                  used <LocalTime instant={lastUsedAt} />
                </>
              ) : (
                'never used'
              )}
            </span>
          </li>
        ))}
      </ul>
      {leftOut > 0 && <p className="text-sm text-muted-foreground">{countOf(leftOut)} above your role, and left out.</p>}
      <PostForm className="grid gap-5">
        <input type="hidden" name="digest" value={digest} />
        <ErrorSummary problem={problem} labels={{ reason: 'Reason' }} />
        <ReasonField problem={problem} reason={reason} hint="For the audit log: one entry a key." />
        <SubmitButton variant="destructive" pending="Revoking…" className="justify-self-start">
          Revoke {count === 1 ? 'this key' : `these ${count} keys`}
        </SubmitButton>
      </PostForm>
    </Card>
  )
}
