import { redirect } from 'react-router'
import { ConfirmDelete } from '../components/confirm-delete.tsx'
import { pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { titled } from '../lib/titles.ts'
import type { Route } from './+types/judge-setting-delete'

export async function loader({ params: { id }, context }: Route.LoaderArgs) {
  const { api, requireMay } = context.get(pageContext)
  requireMay('judgeSettings.delete')
  const { name } = await api.judgeSettings.get({ id })
  return { id, name }
}

export async function action({ params: { id }, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  await page.api.judgeSettings.delete({ id })
  throw redirect('/judge-settings', { headers: await flashHeaders(page, 'The judge setting is deleted.') })
}

export const meta: Route.MetaFunction = () => titled('Delete a judge setting')

export default function DeleteJudgeSetting({ loaderData: { id, name } }: Route.ComponentProps) {
  return (
    <ConfirmDelete
      what="judge setting"
      name={name}
      to={`/judge-settings/${id}`}
      consequences={[
        'Suites and agents that name it are judged by the next in line: the agent’s, then the default.',
        'The secret of its model is gone.',
      ]}
    />
  )
}
