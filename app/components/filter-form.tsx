import { type ComponentProps, type ReactNode, useId } from 'react'
import { Form, Link, useNavigation } from 'react-router'
import { Button } from './ui/button.tsx'
import { Input } from './ui/input.tsx'
import { Label } from './ui/label.tsx'
import { NativeSelect } from './ui/native-select.tsx'

interface FilterFormProps {
  children: ReactNode
  isFiltered: boolean
  /** Parameters to keep that are no filters. */
  kept?: Record<string, string>
}

/** A GET form: a filtered list has an address that one can send to a colleague. */
export function FilterForm({ children, isFiltered, kept = {} }: FilterFormProps) {
  const isPending = useNavigation().formMethod === 'GET'
  return (
    <Form role="search" className="mb-4 flex flex-wrap items-end gap-3" aria-busy={isPending}>
      {Object.entries(kept).map(([name, value]) => (
        <input key={name} type="hidden" name={name} value={value} />
      ))}
      {children}
      <div className="flex gap-1">
        <Button type="submit" variant="outline">
          {isPending ? 'Filtering…' : 'Filter'}
        </Button>
        {isFiltered && (
          <Button asChild variant="ghost">
            <Link to="?">Clear</Link>
          </Button>
        )}
      </div>
    </Form>
  )
}

interface FilterProps {
  label: string
  name: string
  value: string | undefined
  className?: string
}

export function FilterInput({
  label,
  value,
  className,
  ...props
}: FilterProps & Pick<ComponentProps<'input'>, 'type' | 'placeholder'>) {
  const id = useId()
  return (
    <div className={className}>
      <Label htmlFor={id} className="mb-1 text-xs text-muted-foreground">
        {label}
      </Label>
      <Input id={id} key={value} maxLength={200} defaultValue={value ?? ''} {...props} />
    </div>
  )
}

export function FilterSelect({
  label,
  name,
  value,
  className,
  options,
}: FilterProps & { options: { value: string; label: string }[] }) {
  const id = useId()
  return (
    <div className={className}>
      <Label htmlFor={id} className="mb-1 text-xs text-muted-foreground">
        {label}
      </Label>
      <NativeSelect id={id} key={value} name={name} defaultValue={value ?? ''}>
        <option value="">Any</option>
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </NativeSelect>
    </div>
  )
}
