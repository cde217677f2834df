import { data, redirect } from 'react-router'
import { pageContext } from '../context.ts'
import { themeHeaders } from '../lib/cookies.ts'
import { textOf } from '../lib/form-fields.ts'
import { sameOriginPath } from '../lib/same-origin-path.ts'
import type { Route } from './+types/theme'

export function loader() {
  throw redirect('/')
}

export async function action({ request, context }: Route.ActionArgs) {
  const form = await request.formData()
  const headers = await themeHeaders(context.get(pageContext), textOf(form, 'theme'))
  // With JavaScript the form asks for data and the page stays; without it the browser has to be sent back.
  if (new URL(request.url).pathname.endsWith('.data')) return data(null, { headers })
  throw redirect(sameOriginPath(form.get('redirectTo'), '/'), { headers })
}
