import { Outlet, redirect } from 'react-router'
import { pageContext } from '../context.ts'
import type { Route } from './+types/signed-in'

/** Every page below needs a session: without one, or when it ended meanwhile, sign in and come back. */
export const middleware: Route.MiddlewareFunction[] = [
  async ({ request, url, context }, next) => {
    const here = request.method === 'GET' ? url.pathname + url.search : url.pathname
    const signIn = () => redirect(here === '/' ? '/sign-in' : `/sign-in?redirectTo=${encodeURIComponent(here)}`)
    if (!context.get(pageContext).user) throw signIn()
    const response = await next()
    return response.status === 401 ? signIn() : response
  },
]

export default function SignedIn() {
  return <Outlet />
}
