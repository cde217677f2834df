import { data, redirect } from 'react-router'
import { type PageContext, pageContext } from '../context.ts'
import { flashHeaders } from '../lib/cookies.ts'
import { fieldProblem, textOf } from '../lib/form-fields.ts'
import type { Route } from './+types/api-key-shadow'

/** The forms are on the key's page. */
export function loader({ params }: Route.LoaderArgs) {
  throw redirect(`/api-keys/${encodeURIComponent(params.id)}`)
}

export async function action({ request, params, context }: Route.ActionArgs) {
  const page = context.get(pageContext)
  const notice = await perform(page, params.id, await request.formData())
  return redirect(`/api-keys/${encodeURIComponent(params.id)}`, { headers: await flashHeaders(page, notice) })
}

/** @returns what was done, in words. */
async function perform({ api, roles, requestId }: PageContext, id: string, form: FormData): Promise<string> {
  const fail = (path: string, message: string) => data(fieldProblem(requestId, path, message), { status: 400 })
  switch (textOf(form, 'do')) {
    case 'start': {
      const role = roles.find((known) => known.role === textOf(form, 'role'))?.role
      if (!role) throw fail('role', 'Choose a role.')
      await api.apiKeys.startShadow({ id, role, days: Number(textOf(form, 'days')) })
      return `${role} is on trial. What it would refuse still passes, and is counted here.`
    }
    case 'apply': {
      const { name, role } = await api.apiKeys.applyShadow({ id })
      return `The key “${name}” has the role ${role} from now on, everywhere.`
    }
    case 'drop':
      await api.apiKeys.dropShadow({ id })
      return 'The trial is dropped. The key keeps its role.'
    default:
      throw fail('do', 'Choose what to do.')
  }
}
