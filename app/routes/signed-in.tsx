import { Outlet, redirect } from 'react-router'
import { pageContext } from '../context.ts'
import type { Route } from './+types/signed-in'

/** Every page below needs a session: without one, or when it ended meanwhile, sign in and come back. */
export const middleware: Route.MiddlewareFunction[] = [
  async ({ request, url, context }, next) => {
    const here = request.method === 'GET' ? url.pathname + url.search : url.pathname
    const signIn = () => redirect(here === '/' ? '/sign-in' : `/sign-in?redirectTo=${encodeURIComponent(here)}`)
    const { user, secondFactor } = context.get(pageContext)
    if (!user) throw (await secondFactor.find()) ? redirect(secondFactorPath(here)) : signIn()
    const response = await next()
    return response.status === 401 ? signIn() : response
  },
]

const secondFactorPath = (here: string) => `/sign-in/second-factor?redirectTo=${encodeURIComponent(here)}`

export default function SignedIn() {
  return <Outlet />
}
