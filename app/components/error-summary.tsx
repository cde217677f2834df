import { CircleAlertIcon } from 'lucide-react'
import { useEffect, useRef } from 'react'
import type { Problem } from '../context.ts'
import { Alert, AlertDescription, AlertTitle } from './ui/alert.tsx'

interface ErrorSummaryProps {
  problem: Problem | undefined
  /** The form's fields by name, with their labels; an error of another path is told without a link. */
  labels: Record<string, string>
}

/** What kept a form from being done, focused so that it is not overlooked below the fold. */
export function ErrorSummary({ problem, labels }: ErrorSummaryProps) {
  const ref = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (problem) ref.current?.focus()
  }, [problem])
  if (!problem) return null
  const errors = problem.errors ?? []
  return (
    <Alert ref={ref} variant="destructive" role="alert" tabIndex={-1}>
      <CircleAlertIcon aria-hidden="true" />
      <AlertTitle>{errors.length > 0 ? 'Please check the form' : problem.detail}</AlertTitle>
      {errors.length > 0 && (
        <AlertDescription>
          <ul className="grid gap-0.5">
            {errors.map(({ path, message }) => (
              <li key={`${path} ${message}`}>
                {labels[path] ? (
                  <a href={`#${path}`} className="text-foreground underline underline-offset-2">
                    {labels[path]}: {message}
                  </a>
                ) : (
                  message
                )}
              </li>
            ))}
          </ul>
        </AlertDescription>
      )}
    </Alert>
  )
}
