import type { ComponentProps, ReactNode } from 'react'
import type { Problem } from '../context.ts'
import { errorOf } from '../lib/form-fields.ts'
import { FormField } from './form-field.tsx'
import { Input } from './ui/input.tsx'
import { NativeSelect } from './ui/native-select.tsx'
import { Textarea } from './ui/textarea.tsx'

/** What a form shows: a text by each field's name. */
export interface FormState<Name extends string> {
  labels: Record<Name, string>
  values: Record<Name, string>
  problem: Problem | undefined
}

interface FieldProps<Name extends string> {
  form: FormState<Name>
  name: Name
  hint?: ReactNode
  isOptional?: boolean
  fieldClass?: string
}

function fieldOf<Name extends string>({ form, name, hint, isOptional, fieldClass }: FieldProps<Name>) {
  return {
    label: isOptional ? `${form.labels[name]} (optional)` : form.labels[name],
    name,
    hint,
    error: errorOf(form.problem, name),
    ...(fieldClass === undefined ? {} : { className: fieldClass }),
  }
}

export function TextField<Name extends string>({
  form,
  name,
  hint,
  isOptional,
  fieldClass,
  ...input
}: FieldProps<Name> & Omit<ComponentProps<'input'>, 'form' | 'name'>) {
  return (
    <FormField
      {...fieldOf({ form, name, hint, isOptional, fieldClass })}
      control={(props) => <Input {...props} autoComplete="off" defaultValue={form.values[name]} {...input} />}
    />
  )
}

export function AreaField<Name extends string>({
  form,
  name,
  hint,
  isOptional,
  fieldClass,
  ...area
}: FieldProps<Name> & Omit<ComponentProps<'textarea'>, 'form' | 'name'>) {
  return (
    <FormField
      {...fieldOf({ form, name, hint, isOptional, fieldClass })}
      control={(props) => <Textarea {...props} rows={2} defaultValue={form.values[name]} {...area} />}
    />
  )
}

export function SelectField<Name extends string>({
  form,
  name,
  hint,
  isOptional,
  fieldClass,
  options,
  ...select
}: FieldProps<Name> & { options: { value: string; label: string }[] } & Omit<ComponentProps<'select'>, 'form' | 'name'>) {
  return (
    <FormField
      {...fieldOf({ form, name, hint, isOptional, fieldClass })}
      control={(props) => (
        <NativeSelect {...props} defaultValue={form.values[name]} {...select}>
          {options.map(({ value, label }) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </NativeSelect>
      )}
    />
  )
}
