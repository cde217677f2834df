import { Link } from 'react-router'
import { FieldError } from './form-field.tsx'

interface RoleCardsProps {
  /** Least first. */
  roles: { role: string; permits: string }[]
  chosen: string | undefined
  error: string | undefined
}

/** The least role is chosen beforehand, so that whoever does not think about it grants little. */
export function RoleCards({ roles, chosen = roles[0]?.role, error }: RoleCardsProps) {
  const errorId = error ? 'role-error' : ''
  return (
    <fieldset id="role" tabIndex={-1} className="grid gap-2 outline-none" aria-describedby={errorId || undefined}>
      <legend className="mb-1.5 text-sm font-medium">Role</legend>
      <FieldError id={errorId} error={error} />
      {roles.map(({ role, permits }) => (
        <label
          key={role}
          className="flex cursor-pointer items-start gap-3 rounded-md border bg-card px-4 py-3 text-sm hover:bg-muted/60 has-checked:border-primary has-checked:bg-primary/5 has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-ring"
        >
          <input
            type="radio"
            name="role"
            value={role}
            required
            defaultChecked={role === chosen}
            aria-describedby={`role-${role}`}
            className="mt-0.5 size-4 accent-primary outline-none"
          />
          <span className="grid gap-0.5">
            <span className="font-medium">{role}</span>
            <span id={`role-${role}`} className="text-muted-foreground">
              {permits}
            </span>
          </span>
        </label>
      ))}
      <p className="text-sm text-muted-foreground">
        <Link to={`/roles/${chosen}`} className="underline underline-offset-2 hover:text-foreground">
          What each role may call
        </Link>
      </p>
    </fieldset>
  )
}
