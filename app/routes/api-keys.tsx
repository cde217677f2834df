import { PlusIcon, SnowflakeIcon } from 'lucide-react'
import { data, Link } from 'react-router'
import { ApiExplorer } from '../components/api-explorer.tsx'
import { FilterForm, FilterInput, FilterSelect } from '../components/filter-form.tsx'
import { FreezeNotice } from '../components/freeze-notice.tsx'
import { KeyTable } from '../components/key-table.tsx'
import { AddressNotice, EmptyState, Pagination } from '../components/list-chrome.tsx'
import { TimeZoneNote } from '../components/local-time.tsx'
import { OpenNotices } from '../components/notice-list.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { pageContext, problemOf } from '../context.ts'
import { chosen, ignoredOf } from '../lib/search-params.ts'
import { titled } from '../lib/titles.ts'
import { keyStatuses, statusLabel } from '../lib/wording.ts'
import type { Route } from './+types/api-keys'

const description = 'External tools, pipelines and scripts call the mate REST API with a key. Its role limits what it can do.'
const sorts = ['createdAt', 'name', 'role', 'expiresAt', 'lastUsedAt'] as const

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api, origin, roles } = context.get(pageContext)
  const params = url.searchParams
  const status = chosen(params, 'status', keyStatuses)
  const role = chosen(
    params,
    'role',
    roles.map((known) => known.role),
  )
  const sort = chosen(params, 'sort', sorts)
  const order = chosen(params, 'order', ['asc', 'desc'])
  const filters = {
    search: params.get('search')?.trim() || undefined,
    status: status.value,
    role: role.value,
    sort: sort.value ?? 'createdAt',
    order: order.value ?? 'desc',
  }
  // Keys of pipelines that are over are shown to whoever looks for them.
  const isAsked = filters.status !== undefined || filters.search !== undefined
  const open = await api.notices.list({ limit: 3 })
  const shared = {
    notices: { notices: open.items, hasMore: open.nextCursor !== null },
    filters,
    ignored: ignoredOf(status, role, sort, order),
    origin,
    roles: roles.map((known) => known.role),
    grantableRoles: roles.filter((known) => known.isGrantable).map((known) => known.role),
  }
  try {
    const [page, freeze] = await Promise.all([
      api.apiKeys.list({ ...filters, withExpiredCi: isAsked, cursor: params.get('cursor') || undefined }),
      api.apiKeys.getFreeze({}),
    ])
    return data({ ...shared, freeze, keys: page.items, nextCursor: page.nextCursor, problem: undefined })
  } catch (thrown) {
    const problem = problemOf(thrown)
    if (problem.status !== 400) throw thrown
    return data({ ...shared, freeze: undefined, keys: [], nextCursor: null, problem }, { status: 400 })
  }
}

export const meta: Route.MetaFunction = () => titled('API Keys')

export default function ApiKeys({ loaderData }: Route.ComponentProps) {
  const { filters, ignored, problem, keys, nextCursor, freeze, grantableRoles, roles, origin, notices } = loaderData
  const isFiltered = Boolean(filters.search || filters.status || filters.role)
  if (keys.length === 0 && !isFiltered && !problem) return <NoKeysYet origin={origin} />
  return (
    <>
      <PageHeader
        title="API Keys"
        description={description}
        actions={
          <>
            {freeze?.frozenAt === null && <FreezeLink />}
            <GenerateLink />
          </>
        }
      />
      {freeze && <FreezeNotice freeze={freeze} />}
      <OpenNotices {...notices} isFrozen={freeze?.frozenAt != null} />
      <AddressNotice problem={problem} ignored={ignored} />
      <FilterForm isFiltered={isFiltered} kept={{ sort: filters.sort, order: filters.order }}>
        <FilterInput
          label="Search"
          name="search"
          type="search"
          placeholder="Name or start of the key"
          value={filters.search}
          className="min-w-0 grow basis-full sm:max-w-72 sm:basis-60"
        />
        <FilterSelect
          label="Status"
          name="status"
          value={filters.status}
          options={keyStatuses.map((value) => ({ value, label: statusLabel(value) }))}
          className="w-32"
        />
        <FilterSelect
          label="Role"
          name="role"
          value={filters.role}
          options={roles.map((value) => ({ value, label: value }))}
          className="w-36"
        />
      </FilterForm>
      <Card className="gap-0 overflow-hidden p-0 sm:p-0">
        {keys.length > 0 ? (
          <KeyTable keys={keys} sort={filters.sort} order={filters.order} grantableRoles={grantableRoles} />
        ) : (
          <EmptyState title="No key matches">
            <p>Try fewer filters, or a part of the name.</p>
            <Button asChild variant="outline" size="sm">
              <Link to="?">Show all keys</Link>
            </Button>
          </EmptyState>
        )}
      </Card>
      <div className="mt-3 flex min-h-8 flex-wrap items-center justify-between gap-3">
        <TimeZoneNote />
        <div className="flex flex-wrap gap-2">
          <Pagination nextCursor={nextCursor} />
          <Button asChild variant="ghost" size="sm">
            <Link to="/trust-rules">Trust rules for CI…</Link>
          </Button>
          <Button asChild variant="ghost" size="sm">
            <Link to="/api-keys/bulk-revoke">Bulk revoke…</Link>
          </Button>
        </div>
      </div>
      <ApiExplorer origin={origin} />
    </>
  )
}

function FreezeLink() {
  return (
    <Button asChild variant="outline">
      <Link to="/api-keys/freeze">
        <SnowflakeIcon aria-hidden="true" />
        Freeze all…
      </Link>
    </Button>
  )
}

function GenerateLink() {
  return (
    <Button asChild>
      <Link to="/api-keys/new">
        <PlusIcon aria-hidden="true" />
        Generate Key
      </Link>
    </Button>
  )
}

function NoKeysYet({ origin }: { origin: string }) {
  return (
    <>
      <PageHeader title="API Keys" description={description} />
      <Card>
        <EmptyState title="No API keys yet">
          <p>
            Generate one for each tool that calls mate, with the lowest role that does the job. A CI pipeline needs none to store:
            add a{' '}
            <Link to="/trust-rules" className="underline underline-offset-2">
              trust rule
            </Link>
            .
          </p>
          <GenerateLink />
        </EmptyState>
      </Card>
      <ApiExplorer origin={origin} />
    </>
  )
}
