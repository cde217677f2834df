// What a browser is to ask its authenticator, as JSON for the script that asks; each answers one challenge, once.
import { type FormResult, pageContext } from '../context.ts'
import { textOf } from '../lib/form-fields.ts'
import type { Route } from './+types/passkey-ask'

export async function action({ request, context }: Route.ActionArgs) {
  const { passkeySignIn, secondFactor, signInAgain, factors } = context.get(pageContext)
  switch (textOf(await request.formData(), 'purpose')) {
    case 'sign-in':
      return answer(await passkeySignIn.ask())
    case 'second-factor':
      return answer(await secondFactor.ask())
    case 'again':
      return answer(await signInAgain.ask())
    default:
      return answer(await factors.offerPasskey())
  }
}

function answer(result: FormResult<{ options: object }>): Response {
  return result.ok ? Response.json({ options: result.options }) : Response.json(result.problem, { status: result.problem.status })
}
