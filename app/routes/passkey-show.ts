// Takes what an authenticator answered, and goes on to where that leads.
import { data, redirect } from 'react-router'
import { type FormResult, type PageContext, pageContext } from '../context.ts'
import { textOf } from '../lib/form-fields.ts'
import { sameOriginPath } from '../lib/same-origin-path.ts'
import type { Route } from './+types/passkey-show'

export function loader() {
  throw redirect('/')
}

export async function action({ request, context }: Route.ActionArgs) {
  const form = await request.formData()
  const result = await show(context.get(pageContext), textOf(form, 'purpose'), textOf(form, 'response'))
  if (!result.ok) return data({ problem: result.problem }, { status: result.problem.status })
  throw redirect(sameOriginPath(form.get('redirectTo'), '/'), result.headers && { headers: result.headers })
}

type Shown = Promise<FormResult<{ headers?: Headers }>>

function show({ passkeySignIn, secondFactor, signInAgain }: PageContext, purpose: string, response: string): Shown {
  if (purpose === 'again') return signInAgain.byPasskey(response)
  return purpose === 'second-factor' ? secondFactor.enterByPasskey(response) : passkeySignIn.enter(response)
}
