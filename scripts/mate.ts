// The operator's console: works on the database itself, and is audited as the console's.
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { TRPCError } from '@trpc/server'
import { hashPassword } from 'better-auth/crypto'
import { z } from 'zod'
import { type Database, openDatabase } from '#db/client.ts'
import type { Actor } from '#server/audit.ts'
import type { Call } from '#server/call.ts'
import { readEnv, settingsTable } from '#server/env.ts'
import { createTenant, createUser, Email, findTenant, ownWordMessage, Password, restoreAdmin } from '#server/first-run.ts'
import { line } from '#server/input.ts'
import { holdsOwnWord } from '#server/known-passwords.ts'
import { prepareRuntime } from '#server/prepare.ts'
import { toProblem } from '#server/problem.ts'
import { Role, roles } from '#server/roles.ts'
import { appRouter } from '#server/routers/index.ts'
import { runAudit } from '../cli/audit.ts'

const help = `mate – the operator’s console. It works on the database itself: DATABASE_URL, or the embedded one in MATE_DATA_DIR
while the server is stopped. Everything it changes is in the audit log as the console’s.

  npm run -s mate -- create-key --role ROLE --name NAME [--tenant NAME] [--days N]
      Prints a new API key, alone, on standard output. ROLE: ${roles.join(', ')}.
      Without any tenant yet, one is made (named NAME of --tenant, or “Default”).
  npm run -s mate -- create-admin --email EMAIL [--name NAME] [--tenant NAME] [--password-stdin]
      Makes a SuperAdmin, or gives the one of this address a new password and its rights back.
      Prints the password, alone, on standard output unless it came by standard input.
  npm run -s mate -- create-tenant --name NAME
  npm run -s mate -- migrate
  npx mate audit verify FILE [--public-key FILE] [--checkpoints FILE]…
      Checks an export of the audit log (NDJSON) with no server, network or database: exit code 0 when it is intact, else 1
      and the first bad sequence. FILE of --public-key: /.well-known/mate-audit-key, saved earlier, or PEM.

  npx mate run --suite SUITE --agent AGENT
      Runs test cases on a server, and exits with the verdict: npx mate run --help
  npx mate scan PATH…
      Finds API keys in files: npx mate scan --help

Settings:
${settingsTable.map((setting) => `  ${setting.name.padEnd(22)} ${setting.description}`).join('\n')}
`

const consoleActor: Actor = { kind: 'console', id: 'console', name: 'console', role: 'SuperAdmin' }

class UsageError extends Error {}

/** What is left of a command once its options are in order: what it does, and what it prints. */
type Work = (database: Database) => Promise<string>

const commands: Record<string, (options: Options, stdin: AsyncIterable<Uint8Array>) => Promise<Work>> = {
  'create-key': createKey,
  'create-admin': createAdmin,
  'create-tenant': async ({ name }) => {
    const tenantName = need(line(100), name, '--name')
    return (database) =>
      database.transaction(async (tx) => {
        if (await findTenant(tx, tenantName)) throw new UsageError(`There is a tenant “${tenantName}” already.`)
        await createTenant(tx, tenantName, consoleActor)
        return ''
      })
  },
  migrate: async () => async () => '',
}

const optionTypes = {
  role: { type: 'string' },
  name: { type: 'string' },
  tenant: { type: 'string' },
  days: { type: 'string' },
  email: { type: 'string' },
  'password-stdin': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

type Options = ReturnType<typeof parseArgs<{ options: typeof optionTypes }>>['values']

async function createKey(options: Options): Promise<Work> {
  const role = need(Role, options.role, '--role')
  const name = need(line(100), options.name, '--name')
  const days = options.days === undefined ? undefined : need(z.coerce.number().int().min(1).max(36500), options.days, '--days')
  return async (database) => {
    const tenant = await database.transaction((tx) => getOrCreateTenant(tx, options.tenant))
    const call: Call = {
      door: 'console',
      requestId: crypto.randomUUID(),
      ip: null,
      userAgent: null,
      credential: { kind: 'console', tenantId: tenant.id },
      tenantId: null,
    }
    const expiresAt = days && new Date(Date.now() + days * 86_400_000).toISOString()
    const made = await appRouter.createCaller(call).apiKeys.create({ name, role, ...(expiresAt ? { expiresAt } : {}) })
    return made.key
  }
}

async function createAdmin(options: Options, stdin: AsyncIterable<Uint8Array>): Promise<Work> {
  const email = need(Email, options.email, '--email')
  const name = need(line(100), options.name ?? email.split('@')[0], '--name')
  const given = options['password-stdin'] ? (await readAll(stdin)).replace(/\r?\n$/, '') : undefined
  const password = given === undefined ? randomBytes(18).toString('base64url') : await needPassword(given, email)
  const hash = await hashPassword(password)
  return async (database) => {
    await database.transaction(async (tx) => {
      if (await restoreAdmin(tx, email, hash, consoleActor)) return
      const tenant = await getOrCreateTenant(tx, options.tenant)
      await createUser(tx, { name, email, password: hash, role: 'SuperAdmin', tenantId: tenant.id }, consoleActor)
    })
    return given === undefined ? password : ''
  }
}

async function getOrCreateTenant(tx: Parameters<typeof findTenant>[0], name?: string) {
  const found = await findTenant(tx, name)
  if (found) return found
  if (await findTenant(tx)) throw new UsageError(`There is no tenant “${name}”. Make it with create-tenant.`)
  return createTenant(tx, need(line(100), name ?? 'Default', '--tenant'), consoleActor)
}

function need<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new UsageError(value === undefined ? `${what} is missing.` : `${what}: ${parsed.error.issues[0]?.message}`)
}

async function needPassword(given: string, email: string): Promise<string> {
  const parsed = await Password.safeParseAsync(given)
  if (!parsed.success) throw new UsageError(`The password: ${parsed.error.issues[0]?.message}`)
  if (holdsOwnWord(given, { email })) throw new UsageError(`The password: ${ownWordMessage}`)
  return given
}

async function readAll(stdin: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stdin) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/** What to tell the operator: the public text of an error, and a hint where the text is about the use of this command. */
function explain(error: unknown): string {
  if (error instanceof TRPCError) {
    const { detail, errors = [] } = toProblem(error, '-')
    const fields = errors.filter(({ message }) => message !== detail)
    return [detail, ...fields.map(({ path, message }) => `${path}: ${message}`)].join('\n')
  }
  return error instanceof Error ? error.message : String(error)
}

async function perform(args: string[], settings: NodeJS.ProcessEnv, stdin: AsyncIterable<Uint8Array>): Promise<string> {
  const { values, positionals } = parseArgs({ args, options: optionTypes, allowPositionals: true })
  const [name, ...rest] = positionals
  if (values.help || name === undefined || name === 'help') return help
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command || rest.length > 0) throw new UsageError(`There is no command “${positionals.join(' ')}”.`)
  const env = readEnv(settings)
  // Before the database is opened: what is not understood touches nothing.
  const work = await command(values, stdin)
  const database = await openDatabase({ url: env.DATABASE_URL, dataDir: env.MATE_DATA_DIR })
  try {
    await prepareRuntime(database, env)
    const output = await work(database)
    return output && `${output}\n`
  } finally {
    await database.close()
  }
}

export interface ConsoleResult {
  /** 0: done; 1: it failed or was refused; 2: it was not understood, and nothing was touched. */
  code: 0 | 1 | 2
  stdout: string
  stderr: string
}

/** Runs one command of the operator's console; `settings` as in the environment. Never throws. */
export async function runConsole(
  args: string[],
  settings: NodeJS.ProcessEnv,
  stdin: AsyncIterable<Uint8Array>,
): Promise<ConsoleResult> {
  if (args[0] === 'audit') return runAudit(args.slice(1))
  try {
    return { code: 0, stdout: await perform(args, settings, stdin), stderr: '' }
  } catch (error) {
    const isUsage = error instanceof UsageError || (error instanceof TypeError && 'code' in error)
    const stderr = `${explain(error)}\n${isUsage ? 'See: npm run -s mate -- help\n' : ''}`
    return { code: isUsage ? 2 : 1, stdout: '', stderr }
  }
}

/** Runs the command of this process, and ends it. */
export async function main(): Promise<void> {
  const { code, stdout, stderr } = await runConsole(process.argv.slice(2), process.env, process.stdin)
  process.stderr.write(stderr)
  // A closed PGlite keeps the process for two more seconds: it is ended once the output is out.
  process.stdout.write(stdout, () => process.exit(code))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
