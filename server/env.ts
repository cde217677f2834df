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
  MATE_DRAIN_SECONDS: z.coerce
    .number()
    .min(0)
    .max(60)
    .default(0)
    .describe(
      'At a stop: how long it still serves, while /health/ready is 503 already, so that a load balancer looks away first.',
    ),
  MATE_METRICS_PORT: port.optional().describe('Port of /metrics for Prometheus, at HOST; without it there is none.'),
  MATE_TRUST_PROXY: optionalText.describe(
    'Comma-separated addresses or CIDRs of proxies whose X-Forwarded-For names the client.',
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
})

/** Of a pair that only works together, the one that is missing. */
const Complete = Settings.superRefine(({ MATE_ADMIN_EMAIL, MATE_ADMIN_PASSWORD }, context) => {
  const missing = MATE_ADMIN_EMAIL ? 'MATE_ADMIN_PASSWORD' : 'MATE_ADMIN_EMAIL'
  if ((MATE_ADMIN_EMAIL === undefined) === (MATE_ADMIN_PASSWORD === undefined)) return
  context.addIssue({ code: 'custom', path: [missing], message: 'is missing: the two make the first SuperAdmin together' })
})

export type Env = z.infer<typeof Settings>

/** Settings as `{ name, description, default }`, for the README and `mate --help`. */
export const settingsTable = Object.entries(Settings.shape).map(([name, schema]) => ({
  name,
  description: schema.description ?? '',
  default: schema.safeParse(undefined).data as string | number | undefined,
}))

/** Reads the settings; throws one Error that names every wrong one and what it must be. */
export function readEnv(source: Record<string, string | undefined> = process.env): Env {
  const given = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ''))
  const parsed = Complete.safeParse(given)
  if (parsed.success) return parsed.data
  const lines = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`)
  throw new Error(`These settings are wrong:\n${lines.join('\n')}`)
}
