import type { ExpiryChoices } from '../lib/expiry.ts'
import { FormField } from './form-field.tsx'
import { Input } from './ui/input.tsx'
import { NativeSelect } from './ui/native-select.tsx'

interface KeyExpiryProps {
  choices: ExpiryChoices
  chosen: string | undefined
  day: string | undefined
  error: string | undefined
}

/** The day's field shows by CSS alone, so it does without JavaScript too. */
export function KeyExpiry({ choices, chosen = choices.preselected, day, error }: KeyExpiryProps) {
  return (
    <div className="group grid max-w-xs gap-3">
      <FormField
        label="Expires"
        name="expiresAt"
        error={error}
        control={({ name: _name, ...props }) => (
          <NativeSelect {...props} name="expiry" defaultValue={chosen}>
            {choices.days.map((days) => (
              <option key={days} value={days}>
                In {days} days
              </option>
            ))}
            <option value="date">On a date…</option>
            {choices.mayNeverExpire && <option value="never">Never</option>}
          </NativeSelect>
        )}
      />
      <FormField
        label="Last day"
        name="day"
        hint="The key works through this day, in UTC."
        error={undefined}
        className="hidden gap-1.5 group-has-[option[value=date]:checked]:grid"
        control={(props) => (
          <Input {...props} type="date" min={choices.firstDay} max={choices.lastDay} defaultValue={day ?? ''} />
        )}
      />
      <p className="hidden text-sm text-muted-foreground group-has-[option[value=never]:checked]:block">
        A key that never expires works until somebody revokes it. Prefer a period, and rotate.
      </p>
    </div>
  )
}
