import type { ApiKey, KeyUsage } from '../lib/api-types.ts'
import { counted, shortDay } from '../lib/days.ts'
import { FormField } from './form-field.tsx'
import { LocalTime } from './local-time.tsx'
import { PostForm, SubmitButton } from './post-form.tsx'
import { Card, CardTitle } from './ui/card.tsx'
import { NativeSelect } from './ui/native-select.tsx'

interface KeyRoleProps {
  apiKey: ApiKey
  usage: KeyUsage
  /** Least first. */
  lowerRoles: string[]
}

/** Whether a lower role would do, and the way there: on trial first, then for good. */
export function KeyRole({ apiKey, usage: { recommendation, shadow }, lowerRoles }: KeyRoleProps) {
  if (apiKey.status !== 'active' || lowerRoles.length === 0) return null
  const action = `/api-keys/${apiKey.id}/shadow`
  return (
    <Card>
      <CardTitle>
        {shadow ? `${shadow.role} on trial` : recommendation ? `${recommendation.role} is enough` : 'Least role'}
      </CardTitle>
      {shadow ? (
        <Trial shadow={shadow} role={apiKey.role} action={action} />
      ) : recommendation ? (
        <Recommended recommendation={recommendation} role={apiKey.role} action={action} />
      ) : (
        <p className="text-sm text-muted-foreground">
          No lower role is known to be enough: that takes at least 20 calls over 7 days, none of which needs {apiKey.role}.
        </p>
      )}
      {!shadow && <TrialForm roles={lowerRoles} action={action} isAside={recommendation !== null} />}
    </Card>
  )
}

interface PartProps {
  role: string
  action: string
}

function Recommended({ recommendation, role, action }: PartProps & { recommendation: NonNullable<KeyUsage['recommendation']> }) {
  const { calls, since } = recommendation
  return (
    <>
      <p className="text-sm text-muted-foreground">
        This {role} key made {counted(calls, 'call')} since {shortDay(since)}, and {recommendation.role} may make every one of
        them. On trial, what {recommendation.role} would refuse still passes and is counted here.
      </p>
      <PostForm>
        <input type="hidden" name="role" value={recommendation.role} autoComplete="off" />
        <input type="hidden" name="days" value="7" autoComplete="off" />
        <SubmitButton formAction={action} name="do" value="start" pending="Starting…">
          Try {recommendation.role} for 7 days
        </SubmitButton>
      </PostForm>
    </>
  )
}

function Trial({ shadow, role, action }: PartProps & { shadow: NonNullable<KeyUsage['shadow']> }) {
  const { refusals, since, until, isOver } = shadow
  return (
    <>
      <p className="text-sm text-muted-foreground">
        {isOver ? (
          <>
            The trial ended on <LocalTime instant={until} />.{' '}
          </>
        ) : (
          <>
            From <LocalTime instant={since} /> until <LocalTime instant={until} />. The key still has the role {role}.{' '}
          </>
        )}
        {refusals.length === 0 ? `It asked for nothing that ${shadow.role} would refuse.` : `${shadow.role} would have refused:`}
      </p>
      {refusals.length > 0 && (
        <ul className="grid gap-2 text-sm">
          {refusals.map(({ operation, calls, lastAt }) => (
            <li key={operation} className="flex flex-wrap items-baseline gap-x-3">
              <span className="font-mono text-[0.8125rem] wrap-anywhere">{operation}</span>
              <span className="text-muted-foreground">
                {counted(calls, 'call')}, last <LocalTime instant={lastAt} />
              </span>
            </li>
          ))}
        </ul>
      )}
      <PostForm className="flex flex-wrap items-center gap-2">
        <SubmitButton
          formAction={action}
          name="do"
          value="apply"
          pending="Lowering…"
          variant={refusals.length > 0 ? 'outline' : 'default'}
        >
          Make it {shadow.role}
        </SubmitButton>
        <SubmitButton formAction={action} name="do" value="drop" pending="Dropping…" variant="ghost">
          Drop the trial
        </SubmitButton>
      </PostForm>
      <p className="text-xs text-muted-foreground">A lowered role can’t be raised again: that takes another key.</p>
    </>
  )
}

/** For those who know better than the numbers. */
function TrialForm({ roles, action, isAside }: { roles: string[]; action: string; isAside: boolean }) {
  return (
    <details className="text-sm">
      <summary className="rounded-sm text-muted-foreground hover:text-foreground">
        {isAside ? 'Try another role, or for longer' : 'Try a lower role'}
      </summary>
      <PostForm className="mt-3 flex flex-wrap items-end gap-3">
        <FormField
          label="Role"
          name="role"
          error={undefined}
          className="grid w-36 gap-1.5"
          control={(props) => (
            <NativeSelect {...props} defaultValue={roles[0]}>
              {roles.map((role) => (
                <option key={role}>{role}</option>
              ))}
            </NativeSelect>
          )}
        />
        <FormField
          label="For"
          name="days"
          error={undefined}
          className="grid w-32 gap-1.5"
          control={(props) => (
            <NativeSelect {...props} defaultValue="7">
              {[1, 7, 14, 30].map((days) => (
                <option key={days} value={days}>
                  {counted(days, 'day')}
                </option>
              ))}
            </NativeSelect>
          )}
        />
        <SubmitButton formAction={action} name="do" value="start" pending="Starting…" variant="outline">
          Start the trial
        </SubmitButton>
      </PostForm>
    </details>
  )
}
