// The filters of the audit log as they stand in an address: for its page and for its export.
import { chosen, chosenDay, ignoredOf } from './search-params.ts'
import { entityTypes } from './wording.ts'

const dayMs = 86_400_000

export function readAuditFilters(params: URLSearchParams, auditActions: string[]) {
  const action = chosen(params, 'action', auditActions)
  const entityType = chosen(params, 'entityType', Object.keys(entityTypes))
  const from = chosenDay(params, 'from')
  const to = chosenDay(params, 'to')
  const given = {
    search: params.get('search')?.trim() || undefined,
    actor: params.get('actor')?.trim() || undefined,
    action: action.value,
    entityType: entityType.value,
  }
  return {
    /** As the form shows them: days. */
    shown: { ...given, from: from.value, to: to.value },
    /** As the procedures take them: instants. The last day counts, and the procedure's limit does not. */
    asked: { ...given, from: from.value && startOf(from.value), to: to.value && startOf(to.value, 1) },
    ignored: ignoredOf(action, entityType, from, to),
  }
}

function startOf(day: string, daysLater = 0): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + daysLater * dayMs).toISOString()
}
