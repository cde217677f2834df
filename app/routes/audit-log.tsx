import { data } from 'react-router'
import { AuditTable } from '../components/audit-table.tsx'
import { FilterForm, FilterInput, FilterSelect } from '../components/filter-form.tsx'
import { AddressNotice, EmptyState, Pagination } from '../components/list-chrome.tsx'
import { TimeZoneNote } from '../components/local-time.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { Card } from '../components/ui/card.tsx'
import { pageContext, problemOf } from '../context.ts'
import { chosen, chosenDay, ignoredOf } from '../lib/search-params.ts'
import { titled } from '../lib/titles.ts'
import { actionLabel, entityTypes } from '../lib/wording.ts'
import type { Route } from './+types/audit-log'

const dayMs = 86_400_000

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api, auditActions } = context.get(pageContext)
  const params = url.searchParams
  const action = chosen(params, 'action', auditActions)
  const entityType = chosen(params, 'entityType', Object.keys(entityTypes))
  const from = chosenDay(params, 'from')
  const to = chosenDay(params, 'to')
  const filters = {
    search: params.get('search')?.trim() || undefined,
    actor: params.get('actor')?.trim() || undefined,
    action: action.value,
    entityType: entityType.value,
  }
  const shared = {
    filters: { ...filters, from: from.value, to: to.value },
    ignored: ignoredOf(action, entityType, from, to),
    auditActions,
  }
  try {
    const page = await api.auditLog.list({
      ...filters,
      from: from.value && startOf(from.value),
      // The last day counts, and the procedure's limit does not.
      to: to.value && startOf(to.value, 1),
      cursor: params.get('cursor') || undefined,
    })
    return data({ ...shared, entries: page.items, nextCursor: page.nextCursor, problem: undefined })
  } catch (thrown) {
    const problem = problemOf(thrown)
    if (problem.status !== 400) throw thrown
    return data({ ...shared, entries: [], nextCursor: null, problem }, { status: 400 })
  }
}

function startOf(day: string, daysLater = 0): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + daysLater * dayMs).toISOString()
}

export const meta: Route.MetaFunction = () => titled('Audit Log')

export default function AuditLog({ loaderData }: Route.ComponentProps) {
  const { filters, ignored, problem, entries, nextCursor, auditActions } = loaderData
  const isFiltered = Object.values(filters).some(Boolean) || problem !== undefined
  return (
    <>
      <PageHeader
        title="Audit Log"
        description="Who changed what, from where, and who was refused. Newest first; nothing is ever removed."
      />
      <AddressNotice problem={problem} ignored={ignored} />
      <AuditFilters filters={filters} auditActions={auditActions} isFiltered={isFiltered} />
      <Card className="gap-0 overflow-hidden p-0 sm:p-0">
        {entries.length > 0 ? (
          <AuditTable entries={entries} />
        ) : (
          <EmptyState title={isFiltered ? 'No entry matches' : 'Nothing has happened yet'}>
            <p>{isFiltered ? 'Try fewer filters, or other dates.' : 'Each change and each refusal will be listed here.'}</p>
          </EmptyState>
        )}
      </Card>
      <div className="mt-3 flex min-h-8 flex-wrap items-center justify-between gap-3">
        <TimeZoneNote />
        <Pagination nextCursor={nextCursor} />
      </div>
    </>
  )
}

interface AuditFiltersProps {
  filters: Record<'search' | 'actor' | 'action' | 'entityType' | 'from' | 'to', string | undefined>
  auditActions: string[]
  isFiltered: boolean
}

function AuditFilters({ filters, auditActions, isFiltered }: AuditFiltersProps) {
  return (
    <FilterForm isFiltered={isFiltered}>
      <FilterInput
        label="Search"
        name="search"
        type="search"
        placeholder="Name, id, address, reason"
        value={filters.search}
        className="min-w-0 grow basis-full sm:max-w-64 sm:basis-52"
      />
      <FilterSelect
        label="Action"
        name="action"
        value={filters.action}
        options={auditActions.map((value) => ({ value, label: actionLabel(value) }))}
        className="w-full sm:w-48"
      />
      <FilterSelect
        label="Kind of thing"
        name="entityType"
        value={filters.entityType}
        options={Object.entries(entityTypes).map(([value, label]) => ({ value, label }))}
        className="w-32"
      />
      <FilterInput label="Who" name="actor" placeholder="Name or id" value={filters.actor} className="w-36" />
      <FilterInput label="From (UTC day)" name="from" type="date" value={filters.from} className="w-38" />
      <FilterInput label="To (UTC day)" name="to" type="date" value={filters.to} className="w-38" />
    </FilterForm>
  )
}
