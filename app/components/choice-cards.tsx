interface ChoiceCardsProps {
  legend: string
  name: string
  chosen: string
  options: Record<string, { label: string; what: string }>
}

/** Radio buttons that say what each of them means. */
export function ChoiceCards({ legend, name, chosen, options }: ChoiceCardsProps) {
  return (
    <fieldset id={name} tabIndex={-1} className="outline-none">
      <legend className="mb-2 text-sm font-medium">{legend}</legend>
      <div className="grid gap-2 sm:auto-cols-fr sm:grid-flow-col">
        {Object.entries(options).map(([value, { label, what }]) => (
          <label
            key={value}
            className="flex cursor-pointer items-start gap-3 rounded-md border bg-card px-4 py-3 text-sm hover:bg-muted/60 has-checked:border-primary has-checked:bg-primary/5 has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-ring"
          >
            <input
              type="radio"
              name={name}
              value={value}
              defaultChecked={value === chosen}
              className="mt-0.5 size-4 shrink-0 accent-primary outline-none"
            />
            <span className="grid gap-0.5">
              <span className="font-medium">{label}</span>
              <span className="text-muted-foreground">{what}</span>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  )
}
