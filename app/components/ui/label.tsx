import { Label as LabelPrimitive } from 'radix-ui'
import type { ComponentProps } from 'react'
import { cn } from '#app/lib/cn.ts'

function Label({ className, ...props }: ComponentProps<typeof LabelPrimitive.Root>) {
  return (
    <LabelPrimitive.Root data-slot="label" className={cn('flex items-center gap-2 text-sm font-medium', className)} {...props} />
  )
}

export { Label }
