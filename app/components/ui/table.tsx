import type { ComponentProps } from 'react'
import { cn } from '#app/lib/cn.ts'

// Below `lg` a row is a card, and each cell names its column with `data-label`.

function Table({ className, ...props }: ComponentProps<'table'>) {
  return <table data-slot="table" className={cn('w-full text-sm max-lg:block', className)} {...props} />
}

function TableHeader({ className, ...props }: ComponentProps<'thead'>) {
  return <thead data-slot="table-header" className={cn('border-b max-lg:sr-only', className)} {...props} />
}

function TableBody({ className, ...props }: ComponentProps<'tbody'>) {
  return <tbody data-slot="table-body" className={cn('divide-y max-lg:block', className)} {...props} />
}

function TableRow({ className, ...props }: ComponentProps<'tr'>) {
  return (
    <tr
      data-slot="table-row"
      className={cn('max-lg:grid max-lg:gap-1.5 max-lg:px-4 max-lg:py-4 lg:hover:bg-muted/60', className)}
      {...props}
    />
  )
}

function TableHead({ className, ...props }: ComponentProps<'th'>) {
  return (
    <th
      data-slot="table-head"
      scope="col"
      className={cn(
        'h-9 px-2 text-left align-middle text-xs font-medium whitespace-nowrap text-muted-foreground xl:px-3',
        className,
      )}
      {...props}
    />
  )
}

function TableCell({ className, ...props }: ComponentProps<'td'>) {
  return (
    <td
      data-slot="table-cell"
      className={cn(
        'align-baseline max-lg:grid max-lg:grid-cols-[6.5rem_minmax(0,1fr)] max-lg:gap-3 max-lg:before:text-muted-foreground max-lg:before:content-[attr(data-label)] lg:px-2 lg:py-2 xl:px-3',
        className,
      )}
      {...props}
    />
  )
}

export { Table, TableBody, TableCell, TableHead, TableHeader, TableRow }
