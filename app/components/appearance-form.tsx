import { useRouteLoaderData } from 'react-router'
import { dateStyles } from '../lib/dates.ts'
import type { loader } from '../root.tsx'
import { FormField } from './form-field.tsx'
import { PostForm, SubmitButton } from './post-form.tsx'
import { ThemeForm } from './theme-form.tsx'
import { Card, CardDescription, CardTitle } from './ui/card.tsx'
import { NativeSelect } from './ui/native-select.tsx'

/** Theme and the language of dates, kept in this browser. */
export function AppearanceForm() {
  const dates = useRouteLoaderData<typeof loader>('root')?.dates ?? ''
  return (
    <Card>
      <div className="grid gap-1">
        <CardTitle>Appearance</CardTitle>
        <CardDescription>In this browser. Without JavaScript, dates are in UTC.</CardDescription>
      </div>
      <div className="max-w-xs">
        <ThemeForm />
      </div>
      <PostForm className="flex max-w-md flex-wrap items-end gap-3">
        <FormField
          label="Dates"
          name="dates"
          error={undefined}
          className="grid min-w-0 flex-1 gap-1.5"
          control={(props) => (
            <NativeSelect {...props} key={dates} defaultValue={dates}>
              {dateStyles.map(({ value, label }) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </NativeSelect>
          )}
        />
        <SubmitButton pending="Saving…" name="intent" value="dates" variant="outline">
          Save dates
        </SubmitButton>
      </PostForm>
    </Card>
  )
}
