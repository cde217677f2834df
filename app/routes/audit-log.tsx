import { DownloadIcon } from 'lucide-react'
import { data, useSearchParams } from 'react-router'
import { AuditTable } from '../components/audit-table.tsx'
import { FilterForm, FilterInput, FilterSelect } from '../components/filter-form.tsx'
import { AddressNotice, EmptyState, Pagination } from '../components/list-chrome.tsx'
import { LocalTime, TimeZoneNote } from '../components/local-time.tsx'
import { PageHeader } from '../components/page-header.tsx'
import { Button } from '../components/ui/button.tsx'
import { Card } from '../components/ui/card.tsx'
import { pageContext, problemOf } from '../context.ts'
import type { AuditChain } from '../lib/api-types.ts'
import { readAuditFilters } from '../lib/audit-filters.ts'
import { withParams } from '../lib/search-params.ts'
import { titled } from '../lib/titles.ts'
import { actionLabel, entityTypes } from '../lib/wording.ts'
import type { Route } from './+types/audit-log'

export async function loader({ url, context }: Route.LoaderArgs) {
  const { api, auditActions } = context.get(pageContext)
  const { shown, asked, ignored } = readAuditFilters(url.searchParams, auditActions)
  const shared = { filters: shown, ignored, auditActions }
  try {
    const page = await api.auditLog.list({ ...asked, cursor: url.searchParams.get('cursor') || undefined })
    const chain = await api.auditLog.getChain({})
    return data({ ...shared, entries: page.items, nextCursor: page.nextCursor, chain, problem: undefined })
  } catch (thrown) {
    const problem = problemOf(thrown)
    if (problem.status !== 400) throw thrown
    return data({ ...shared, entries: [], nextCursor: null, chain: undefined, problem }, { status: 400 })
  }
}

export const meta: Route.MetaFunction = () => titled('Audit Log')

export default function AuditLog({ loaderData }: Route.ComponentProps) {
  const { filters, ignored, problem, entries, nextCursor, chain, auditActions } = loaderData
  const isFiltered = Object.values(filters).some(Boolean) || problem !== undefined
  return (
    <>
      <PageHeader
        title="Audit Log"
        description="Who changed what, from where, and who was refused. Newest first."
        actions={<ExportLinks />}
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
        <div className="grid gap-1">
          <TimeZoneNote />
          {chain && <ChainNote chain={chain} />}
        </div>
        <Pagination nextCursor={nextCursor} />
      </div>
    </>
  )
}

/** Plain links: a file is streamed to the browser, with and without JavaScript, for the filters of this address. */
function ExportLinks() {
  const [params] = useSearchParams()
  return ['NDJSON', 'CSV'].map((name) => (
    <Button key={name} asChild variant="outline" size="sm">
      <a href={`/audit-log/export${withParams(params, { cursor: undefined, format: name.toLowerCase() })}`} download>
        <DownloadIcon aria-hidden="true" />
        Export {name}
      </a>
    </Button>
  ))
}

/** How far the log is proven: each entry holds the hash of the one before it, and what is signed can't be rewritten unseen. */
function ChainNote({ chain: { checkpoint, cut } }: { chain: AuditChain }) {
  if (!checkpoint) return null
  return (
    <p className="text-xs text-muted-foreground">
      Signed up to entry {checkpoint.seq} at <LocalTime instant={checkpoint.at} />.
      {cut && ` Entries up to ${cut.seq} were older than is kept.`}
    </p>
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
