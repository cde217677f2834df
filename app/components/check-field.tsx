import type { ComponentProps, ReactNode } from 'react'
import { cn } from '../lib/cn.ts'

interface CheckFieldProps extends Omit<ComponentProps<'input'>, 'type'> {
  children: ReactNode
  /** Of the label around it. */
  className?: string
}

export function CheckField({ children, className, ...props }: CheckFieldProps) {
  return (
    <label className={cn('flex items-start gap-2.5 text-sm', className)}>
      <input type="checkbox" value="yes" {...props} className="mt-0.5 size-4 shrink-0 accent-primary" />
      <span>{children}</span>
    </label>
  )
}
