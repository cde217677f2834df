import type { Problem } from '../context.ts'
import { errorOf } from '../lib/form-fields.ts'
import { CodeField } from './code-field.tsx'
import { CopyButton } from './copy-button.tsx'
import { ErrorSummary } from './error-summary.tsx'
import { PostForm, SubmitButton } from './post-form.tsx'

export interface ShownOffer {
  sealed: string
  secret: string
  qr: { size: number; path: string }
}

/** A QR code to scan, its secret to type instead, and the first code that proves it. Sends the intent `totp`. */
export function TotpForm({ offer: { sealed, secret, qr }, problem }: { offer: ShownOffer; problem: Problem | undefined }) {
  return (
    <PostForm className="grid gap-5">
      <ErrorSummary problem={problem} labels={{ code: 'Code' }} />
      <input type="hidden" name="sealed" value={sealed} autoComplete="off" />
      <div className="flex flex-wrap items-start gap-5">
        <svg
          viewBox={`0 0 ${qr.size} ${qr.size}`}
          role="img"
          aria-label="QR code for your authenticator app"
          className="size-44 rounded-md border"
          shapeRendering="crispEdges"
        >
          <rect width={qr.size} height={qr.size} fill="#fff" />
          <path d={qr.path} fill="#000" />
        </svg>
        <div className="grid max-w-xs gap-2 text-sm">
          <p className="text-muted-foreground">Scan it with an authenticator app, or type this into the app:</p>
          <p className="font-mono text-[0.8125rem] wrap-anywhere">{secret.replace(/(.{4})(?=.)/g, '$1 ')}</p>
          <div>
            <CopyButton text={secret} label="secret" />
          </div>
        </div>
      </div>
      <CodeField label="Code" hint="The six digits that the app shows now." error={errorOf(problem, 'code')} />
      <SubmitButton pending="Checking…" name="intent" value="totp" className="justify-self-start">
        Add authenticator app
      </SubmitButton>
    </PostForm>
  )
}
