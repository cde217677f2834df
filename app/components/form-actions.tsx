import { Link } from 'react-router'
import { SubmitButton } from './post-form.tsx'
import { Button } from './ui/button.tsx'

interface FormActionsProps {
  submit: string
  pending: string
  cancelTo: string
}

export function FormActions({ submit, pending, cancelTo }: FormActionsProps) {
  return (
    <div className="flex gap-2 border-t pt-5">
      <SubmitButton pending={pending}>{submit}</SubmitButton>
      <Button asChild variant="ghost">
        <Link to={cancelTo}>Cancel</Link>
      </Button>
    </div>
  )
}
