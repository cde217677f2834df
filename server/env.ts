// The only reader of process.env: one table of settings, each with what it is for. The README's table is made from it.
import { z } from 'zod'

const port = z.coerce.number().int().min(0).max(65535)
const optionalText = z
  .string()
  .trim()
  .transform((value) => (value === '' ? undefined : value))
  .optional()

const Settings = z.object({
  PORT: port.default(3000).describe('Port to listen on; 0 takes a free one.'),
  HOST: z.string().default('localhost').describe('Address to listen on; 0.0.0.0 for all.'),
  PUBLIC_URL: optionalText
    .pipe(z.url({ protocol: /^https?$/ }).optional())
    .describe('Address that people use, e.g. https://mate.example.com; with https, cookies are Secure and HSTS is sent.'),
  DATABASE_URL: optionalText
    .pipe(
      z
        .string()
        .regex(/^postgres(ql)?:\/\//, 'must begin with postgres:// or postgresql://')
        .optional(),
    )
    .describe('PostgreSQL 15 or later; without it, an embedded PGlite database is used.'),
  MATE_DATA_DIR: z.string().default('./data').describe('Folder of the embedded database.'),
  MATE_DB_CONNECTIONS: z.coerce.number().int().min(1).max(500).default(20).describe('Connections to PostgreSQL at most.'),
  MATE_SECRET: optionalText
    .pipe(z.string().min(32, 'must have at least 32 characters').optional())
    .describe('Signs session cookies and encrypts connector secrets; without it, one is made and kept in the database.'),
  MATE_MAX_KEY_DAYS: z.coerce
    .number()
    .int()
    .min(1)
    .max(36500)
    .optional()
    .describe('Longest life of a new API key in days; with it, a key without expiry is refused.'),
  MATE_WORKERS: z.coerce
    .number()
    .int()
    .min(0)
    .max(100)
    .default(4)
    .describe('Test runs that this process executes at once; 0 leaves them to processes of `npm run worker`.'),
  MATE_DRAIN_SECONDS: z.coerce
    .number()
    .min(0)
    .max(60)
    .default(0)
    .describe(
      'At a stop: how long it still serves, while /health/ready is 503 already, so that a load balancer looks away first.',
    ),
  MATE_METRICS_PORT: port.optional().describe('Port of /metrics for Prometheus, at HOST; without it there is none.'),
  MATE_AUDIT_KEY: optionalText.describe(
    'Ed25519 private key (PKCS#8, PEM) that signs checkpoints of the audit log; without it, one is made and kept in the database.',
  ),
  MATE_AUDIT_CHECKPOINT_FILE: optionalText.describe('File outside the database that each checkpoint is appended to.'),
  MATE_AUDIT_CHECKPOINT_URL: optionalText
    .pipe(z.url({ protocol: /^https?$/ }).optional())
    .describe('Address that each checkpoint is posted to, as NDJSON; repeated until it answers 2xx.'),
  MATE_TRUST_PROXY: optionalText.describe(
    'Comma-separated addresses or CIDRs of proxies whose X-Forwarded-For names the client.',
  ),
  MATE_ALLOW_PRIVATE_AGENTS: z
    .stringbool({ error: 'must be true or false' })
    .default(false)
    .describe(
      'true: agents, webhooks and CI token issuers may be at private and loopback addresses. Link-local and metadata addresses stay refused.',
    ),
  MATE_SMTP_URL: optionalText
    .pipe(z.url({ protocol: /^smtps?$/, error: 'must be smtp://… or smtps://…' }).optional())
    .describe(
      'Mail server that invitations are sent by, e.g. smtps://user:password@mail.example.com; without it, links are shown to copy.',
    ),
  MATE_MAIL_FROM: optionalText.describe('Sender of e-mails, e.g. mate <mate@example.com>.'),
  MATE_ALLOW_PRIVATE_PROVIDERS: z
    .stringbool({ error: 'must be true or false' })
    .default(false)
    .describe(
      'true: identity providers may be at private and loopback addresses, such as your own Keycloak; at loopback without TLS too.',
    ),
  MATE_ADMIN_EMAIL: optionalText.pipe(z.email().optional()).describe('With MATE_ADMIN_PASSWORD: makes the first SuperAdmin.'),
  MATE_ADMIN_PASSWORD: optionalText
    .pipe(z.string().min(12, 'must have at least 12 characters').max(128).optional())
    .describe('Password of the first SuperAdmin, 12 to 128 characters.'),
  MATE_SIGN_IN_ATTEMPTS: z.coerce
    .number()
    .int()
    .min(1)
    .default(10)
    .describe('Sign-in attempts that one address may make in a minute.'),
  MATE_LEAK_REPORTS: z.coerce
    .number()
    .int()
    .min(1)
    .default(20)
    .describe('Reports of leaked keys that one address may send to a node in a minute; all addresses together 20 times that.'),
  MATE_TOKEN_EXCHANGES: z.coerce
    .number()
    .int()
    .min(1)
    .default(60)
    .describe(
      'Tokens of CI providers that one address may exchange on a node in a minute; all addresses together 20 times that.',
    ),
})

/** Of settings that only work together, the one that is missing. */
const Complete = Settings.superRefine((settings, context) => {
  const { MATE_ADMIN_EMAIL, MATE_ADMIN_PASSWORD, MATE_SMTP_URL, MATE_MAIL_FROM, PUBLIC_URL } = settings
  const miss = (name: string, why: string) => context.addIssue({ code: 'custom', path: [name], message: `is missing: ${why}` })
  if ((MATE_ADMIN_EMAIL === undefined) !== (MATE_ADMIN_PASSWORD === undefined)) {
    miss(MATE_ADMIN_EMAIL ? 'MATE_ADMIN_PASSWORD' : 'MATE_ADMIN_EMAIL', 'the two make the first SuperAdmin together')
  }
  if (!MATE_SMTP_URL) return
  if (!MATE_MAIL_FROM) miss('MATE_MAIL_FROM', 'an e-mail needs a sender')
  if (!PUBLIC_URL) miss('PUBLIC_URL', 'a link in an e-mail needs the address that people use')
})

export type Env = z.infer<typeof Settings>

/** Settings as `{ name, description, default }`, for the README and `mate --help`. */
export const settingsTable = Object.entries(Settings.shape).map(([name, schema]) => ({
  name,
  description: schema.description ?? '',
  default: schema.safeParse(undefined).data as string | number | boolean | undefined,
}))

/** Reads the settings; throws one Error that names every wrong one and what it must be. */
export function readEnv(source: Record<string, string | undefined> = process.env): Env {
  const given = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ''))
  const parsed = Complete.safeParse(given)
  if (parsed.success) return parsed.data
  const lines = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`)
  throw new Error(`These settings are wrong:\n${lines.join('\n')}`)
}
