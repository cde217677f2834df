import { CopyButton } from './copy-button.tsx'

interface CodeBlockProps {
  label: string
  code: string
}

/** Wraps instead of scrolling, so that it works at any width and by keyboard. */
export function CodeBlock({ label, code }: CodeBlockProps) {
  return (
    <figure className="overflow-hidden rounded-md border">
      <figcaption className="flex min-h-9 items-center justify-between gap-2 border-b bg-muted pr-1 pl-3 text-xs text-muted-foreground">
        {label}
        <CopyButton text={code} label={label} variant="ghost" />
      </figcaption>
      <pre className="px-3 py-2.5 font-mono text-[0.8125rem] leading-relaxed wrap-anywhere whitespace-pre-wrap">
        <code>{code}</code>
      </pre>
    </figure>
  )
}
