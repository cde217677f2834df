import { data } from 'react-router'
import { type Problem, pageContext } from '../context.ts'
import type { Route } from './+types/not-found'

export function loader({ context }: Route.LoaderArgs) {
  const problem: Problem = {
    type: 'urn:mate:problem:not_found',
    title: 'Not found',
    status: 404,
    detail: 'The address may be mistyped, or the page has moved.',
    code: 'not_found',
    requestId: context.get(pageContext).requestId,
  }
  throw data(problem, { status: 404 })
}

export default function NotFound() {
  return null
}
