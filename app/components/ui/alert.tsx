import { cva, type VariantProps } from 'class-variance-authority'
import type { ComponentProps } from 'react'
import { cn } from '#app/lib/cn.ts'

const alertVariants = cva(
  'grid grid-cols-[1rem_1fr] items-start gap-x-3 gap-y-1 rounded-lg border px-4 py-3 text-sm [&>svg]:size-4 [&>svg]:translate-y-0.5 [&>:not(svg)]:col-start-2',
  {
    variants: {
      variant: {
        default: 'bg-card [&>svg]:text-muted-foreground',
        warning: 'border-warning/60 bg-warning/8 [&>svg]:text-warning',
        destructive: 'border-destructive/60 bg-destructive/6 [&>svg]:text-destructive',
      },
    },
    defaultVariants: { variant: 'default' },
  },
)

function Alert({ className, variant, ...props }: ComponentProps<'div'> & VariantProps<typeof alertVariants>) {
  return <div data-slot="alert" className={cn(alertVariants({ variant }), className)} {...props} />
}

function AlertTitle({ className, ...props }: ComponentProps<'p'>) {
  return <p data-slot="alert-title" className={cn('font-medium', className)} {...props} />
}

function AlertDescription({ className, ...props }: ComponentProps<'div'>) {
  return <div data-slot="alert-description" className={cn('text-muted-foreground', className)} {...props} />
}

export { Alert, AlertDescription, AlertTitle }
