import { redirect } from 'react-router'
import { ConfirmDelete } from '../components/confirm-delete.tsx'
import { pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/run-delete'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  const { api, requireMay } = context.get(pageContext)
  requireMay('runs.delete')
  const { suiteName, agentName } = await api.runs.get({ id })
  return { id, name: `${suiteName} against ${agentName}` }
}

export async function action({ params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  await page.api.runs.delete({ id })
  throw redirect('/runs', { headers: await flashHeaders(page, 'The run is deleted.') })
}

export const meta: Route.MetaFunction = () => titled('Delete a run')

export default function DeleteRun({ loaderData: { id, name } }: Route.ComponentProps) {
  return (
    <ConfirmDelete
      what="run"
      name={name}
      to={`/runs/${id}`}
      consequences={['Its results, transcripts and human verdicts go with it.', 'The audit log still says that it was made.']}
    />
  )
}
