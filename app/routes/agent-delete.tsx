import { redirect } from 'react-router'
import { ConfirmDelete } from '../components/confirm-delete.tsx'
import { pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/agent-delete'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  const { api, requireMay } = context.get(pageContext)
  requireMay('agents.delete')
  const { name } = await api.agents.get({ id })
  return { id, name }
}

export async function action({ params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  await page.api.agents.delete({ id })
  throw redirect('/agents', { headers: await flashHeaders(page, 'The agent is deleted.') })
}

export const meta: Route.MetaFunction = () => titled('Delete an agent')

export default function DeleteAgent({ loaderData: { id, name } }: Route.ComponentProps) {
  return (
    <ConfirmDelete
      what="agent"
      name={name}
      to={`/agents/${id}`}
      consequences={['It can’t be tested any more, and its secret is gone.', 'What its runs showed stays.']}
    />
  )
}
