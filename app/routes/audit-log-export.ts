import { redirect } from 'react-router'
import { pageContext } from '../context.ts'
import { readAuditFilters } from '../lib/audit-filters.ts'
import type { Route } from './+types/audit-log-export'

/** The file behind the buttons of the audit log: the entries that its filters show. */
export async function loader({ url, context }: Route.LoaderArgs) {
  const { user, auditActions, exportAuditLog } = context.get(pageContext)
  if (!user) throw redirect('/sign-in')
  const format = url.searchParams.get('format') === 'csv' ? 'csv' : 'ndjson'
  return exportAuditLog({ ...readAuditFilters(url.searchParams, auditActions).asked, format })
}
