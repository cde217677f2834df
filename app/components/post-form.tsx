import { Loader2Icon } from 'lucide-react'
import { type ComponentProps, useEffect, useRef } from 'react'
import { Form, useFormAction, useNavigation } from 'react-router'
import { Button } from './ui/button.tsx'

/** A form that can be sent once at a time: a double click does not ask twice. */
export function PostForm(props: Omit<ComponentProps<typeof Form>, 'method' | 'onSubmit'>) {
  const { state } = useNavigation()
  const isSent = useRef(false)
  useEffect(() => {
    if (state === 'idle') isSent.current = false
  }, [state])
  return (
    <Form
      {...props}
      method="post"
      onSubmit={(event) => {
        if (isSent.current) event.preventDefault()
        isSent.current = true
      }}
    />
  )
}

interface SubmitButtonProps extends ComponentProps<typeof Button> {
  /** Said while the form is under way, e.g. “Revoking…”. */
  pending: string
}

/**
 * Stays focusable while pending, so that the keyboard's place is not lost. Of several buttons that send to one address, each
 * has a name and a value, and only the one that was pressed is pending.
 */
export function SubmitButton({ pending, children, ...props }: SubmitButtonProps) {
  const navigation = useNavigation()
  const action = useFormAction(typeof props.formAction === 'string' ? props.formAction : undefined)
  const isPressed = props.name === undefined || navigation.formData?.get(props.name) === props.value
  const isPending = navigation.formMethod === 'POST' && navigation.formAction === action && isPressed
  return (
    <Button type="submit" aria-disabled={isPending || undefined} {...props}>
      {isPending && <Loader2Icon aria-hidden="true" className="animate-spin" />}
      {isPending ? pending : children}
    </Button>
  )
}
