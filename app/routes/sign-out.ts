import { redirect, redirectDocument } from 'react-router'
import { pageContext } from '../context.ts'
import type { Route } from './+types/sign-out'

export function loader() {
  throw redirect('/')
}

/** Loads the next page anew, so that nothing of the session stays in the browser's memory. */
export async function action({ context }: Route.ActionArgs) {
  const headers = await context.get(pageContext).signOut()
  throw redirectDocument('/sign-in', { headers })
}
