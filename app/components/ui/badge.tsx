import { cva, type VariantProps } from 'class-variance-authority'
import type { ComponentProps } from 'react'
import { cn } from '#app/lib/cn.ts'

const badgeVariants = cva(
  'inline-flex w-fit shrink-0 items-center gap-1.5 text-sm whitespace-nowrap before:size-2 before:shrink-0 before:rounded-full',
  {
    variants: {
      variant: {
        success: 'before:bg-success',
        warning: 'before:bg-warning',
        destructive: 'text-destructive before:bg-destructive',
        muted: 'before:border before:border-muted-foreground',
      },
    },
    defaultVariants: { variant: 'muted' },
  },
)

function Badge({ className, variant, ...props }: ComponentProps<'span'> & VariantProps<typeof badgeVariants>) {
  return <span data-slot="badge" className={cn(badgeVariants({ variant }), className)} {...props} />
}

export { Badge, badgeVariants }
