// The operator's console, run as the README says: what it prints, what it changes, and what it leaves in the audit log.
import { spawnSync } from 'node:child_process'
import { Readable } from 'node:stream'
import { eq, sql } from 'drizzle-orm'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Database } from '#db/client.ts'
import { apiKeys, auditLog, sessions, tenants, users } from '#db/schema.ts'
import { runConsole } from '../scripts/mate.ts'
import {
  type ChildServer,
  environment,
  makeEmptyPlace,
  makePlace,
  type Place,
  runProcess,
  startChildServer,
} from './child-server.ts'
import { isPostgres, seedTenant } from './harness.ts'

interface Result {
  code: number | null
  stdout: string
  stderr: string
}

async function run(command: string, args: string[], { settings }: Pick<Place, 'settings'>, stdin?: string): Promise<Result> {
  const child = runProcess(command, args, settings, stdin)
  const { code } = await child.exited
  return { code, ...child.output }
}

/** As the README says. */
const npmRunMate = (place: Place, ...args: string[]) => run('npm', ['run', '-s', 'mate', '--', ...args], place)

/** The same, as a process, without npm's own half second. */
const mateProcess = (place: Pick<Place, 'settings'>, args: string[], stdin?: string) =>
  run(process.execPath, ['scripts/mate.ts', ...args], place, stdin)

/** The same in this process: for what the process does not matter to. */
const mate = ({ settings }: Pick<Place, 'settings'>, args: string[], stdin = ''): Promise<Result> =>
  runConsole(args, environment(settings), Readable.from([Buffer.from(stdin)]))

async function inDatabase<T>(place: Place, work: (database: Database) => Promise<T>): Promise<T> {
  const database = await place.open()
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

const auditIn = (database: Database) => database.db.select().from(auditLog).orderBy(auditLog.id)

async function withServer<T>(place: Place, work: (server: ChildServer) => Promise<T>): Promise<T> {
  const server = await startChildServer(place.settings)
  try {
    return await work(server)
  } finally {
    await server.kill('SIGTERM')
  }
}

function signIn(server: ChildServer, email: string, password: string): Promise<Response> {
  return server.request('/sign-in', {
    method: 'POST',
    headers: { origin: server.url, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ email, password }).toString(),
  })
}

const aKeyAlone = /^mate_[0-9A-Za-z]{49}\n$/
const aPasswordAlone = /^[0-9A-Za-z_-]{24}\n$/

describe('the first key of an empty database', () => {
  let place: Place
  let made: Result

  beforeAll(async () => {
    place = await makeEmptyPlace()
    made = await npmRunMate(place, 'create-key', '--role', 'SuperAdmin', '--name', 'bootstrap')
  })

  test('stands alone on standard output, and nothing else is said', () => {
    expect(made.stdout).toMatch(aKeyAlone)
    expect(made).toMatchObject({ code: 0, stderr: '' })
  })

  test('is audited as the console’s, and so is the tenant that it needed', () =>
    inDatabase(place, async (database) => {
      const entries = await auditIn(database)
      expect(entries.map(({ action, actorKind, outcome }) => ({ action, actorKind, outcome }))).toEqual([
        { action: 'tenant.created', actorKind: 'console', outcome: 'success' },
        { action: 'api_key.created', actorKind: 'console', outcome: 'success' },
      ])
      const [tenant] = await database.db.select().from(tenants)
      expect(tenant?.name).toBe('Default')
      const [key] = await database.db.select().from(apiKeys)
      expect(key).toMatchObject({ name: 'bootstrap', role: 'SuperAdmin', createdByKind: 'console', tenantId: tenant?.id })
      expect(JSON.stringify(entries)).not.toContain(made.stdout.trim())
    }))

  test('opens REST with its role; while the server runs, the console works on PostgreSQL and refuses on the embedded one', () =>
    withServer(place, async (server) => {
      const me = await server.request('/api/me', { key: made.stdout.trim() })
      expect(me.status).toBe(200)
      expect(await me.json()).toMatchObject({ name: 'bootstrap', role: 'SuperAdmin', tenant: { name: 'Default' } })

      const second = await mateProcess(place, ['create-key', '--role', 'Viewer', '--name', 'second'])
      if (isPostgres) {
        expect(second).toMatchObject({ code: 0, stderr: '' })
        expect((await server.request('/api/me', { key: second.stdout.trim() })).status).toBe(200)
      } else {
        expect(second).toMatchObject({ code: 1, stdout: '' })
        expect(second.stderr).toMatch(/^Another process uses the database in .*Stop it first.*\n$/)
        expect((await server.request('/api/me', { key: made.stdout.trim() })).status).toBe(200)
      }
    }))

  test('a name in use is refused', async () => {
    const again = await mateProcess(place, ['create-key', '--role', 'Viewer', '--name', 'BOOTSTRAP'])
    expect(again).toMatchObject({ code: 1, stdout: '' })
    expect(again.stderr).toMatch(/^An active key has this name already.*\n$/)
    expect(again.stderr).not.toMatch(/^\s+at /m)
  })
})

describe('what is not understood changes nothing, exits with another code than 0, and says why without a stack', () => {
  let place: Place

  const refusals = [
    ['an unknown role', ['create-key', '--role', 'Admin', '--name', 'a'], '--role'],
    ['a role in another case', ['create-key', '--role', 'viewer', '--name', 'a'], '--role'],
    ['no role', ['create-key', '--name', 'a'], '--role is missing'],
    ['no name', ['create-key', '--role', 'Viewer'], '--name is missing'],
    ['an empty name', ['create-key', '--role', 'Viewer', '--name', '  '], '--name'],
    ['a name of two lines', ['create-key', '--role', 'Viewer', '--name', 'a\nb'], '--name'],
    ['a name that is too long', ['create-key', '--role', 'Viewer', '--name', 'a'.repeat(101)], '--name'],
    ['0 days', ['create-key', '--role', 'Viewer', '--name', 'a', '--days', '0'], '--days'],
    ['no address', ['create-admin', '--email', 'nobody'], '--email'],
    ['no name for a tenant', ['create-tenant'], '--name is missing'],
    ['an unknown option', ['create-key', '--rôle', 'Viewer'], '--rôle'],
    ['an unknown command', ['destroy'], 'destroy'],
    ['a command of Object', ['constructor'], 'constructor'],
    ['an unknown tenant', ['create-key', '--role', 'Viewer', '--name', 'a', '--tenant', 'Nobody'], 'no tenant “Nobody”'],
    ['an admin of an unknown tenant', ['create-admin', '--email', 'a@example.com', '--tenant', 'Nobody'], 'no tenant “Nobody”'],
  ] as const

  beforeAll(async () => {
    place = await makePlace()
    await inDatabase(place, (database) => seedTenant({ database }))
  })

  test.each(refusals)('%s', async (_, args, said) => {
    const result = await mate(place, [...args])
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toContain(said)
    expect(result.stderr).not.toMatch(/^\s+at /m)
  })

  test('by the process too', async () => {
    expect(await mateProcess(place, ['destroy'])).toEqual(await mate(place, ['destroy']))
  })

  test('a password that is too short, from standard input', async () => {
    const result = await mate(place, ['create-admin', '--email', 'a@example.com', '--password-stdin'], 'short\n')
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toContain('at least 12 characters')
    expect(result.stderr).not.toContain('short\n')
  })

  test.each([
    ['that everybody knows', '1q2w3e4r5t6y', 'everybody knows'],
    ['with the e-mail address in it', 'my eve@example.com', 'your e-mail address'],
  ])('a password %s, from standard input', async (_, given, message) => {
    const result = await mate(place, ['create-admin', '--email', 'eve@example.com', '--password-stdin'], `${given}\n`)
    expect(result).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) })
    expect(result.stderr).not.toContain(given)
  })

  test('a key without end where MATE_MAX_KEY_DAYS says that keys end', async () => {
    const limited = { settings: { ...place.settings, MATE_MAX_KEY_DAYS: '30' } }
    const result = await mate(limited, ['create-key', '--role', 'Viewer', '--name', 'endless'])
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('30 days')
  })

  test('after all of these: no key, no user, no tenant more, no entry in the audit log', () =>
    inDatabase(place, async ({ db }) => {
      expect(await Promise.all([db.$count(apiKeys), db.$count(users), db.$count(tenants), db.$count(auditLog)])).toEqual([
        0, 0, 1, 0,
      ])
    }))
})

describe('admins', () => {
  const email = 'ada@example.com'
  let place: Place

  beforeAll(async () => {
    place = await makePlace()
  })

  test('create-admin prints a password, alone, that signs in; audited as the console’s', async () => {
    const made = await mate(place, ['create-admin', '--email', 'Ada@Example.com', '--name', 'Ada', '--tenant', 'House'])
    expect(made.stdout).toMatch(aPasswordAlone)
    expect(made).toMatchObject({ code: 0, stderr: '' })
    await withServer(place, async (server) => {
      expect((await signIn(server, email, made.stdout.trim())).status).toBe(302)
      expect((await signIn(server, email, `${made.stdout.trim()}x`)).status).toBe(400)
    })
    await inDatabase(place, async (database) => {
      const [user] = await database.db.select().from(users)
      expect(user).toMatchObject({ email, name: 'Ada', role: 'SuperAdmin', isActive: true })
      const entries = (await auditIn(database)).filter(({ actorKind }) => actorKind === 'console')
      expect(entries.map(({ action }) => action)).toEqual(['tenant.created', 'user.created'])
      expect(JSON.stringify(entries)).not.toContain(made.stdout.trim())
    })
  })

  test('for a user who is there it restores role, activity and password, ends the sessions, and is audited with before and after', async () => {
    const before = await mate(place, ['create-admin', '--email', email])
    const cookie = await withServer(place, async (server) => {
      const response = await signIn(server, email, before.stdout.trim())
      expect(response.status).toBe(302)
      return response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    })
    await inDatabase(place, async ({ db }) => {
      expect(await db.$count(sessions)).toBe(1)
      await db.update(users).set({ role: 'Viewer', isActive: false }).where(eq(users.email, email))
    })

    const restored = await mate(place, ['create-admin', '--email', email])
    expect(restored.stdout).toMatch(aPasswordAlone)
    await inDatabase(place, async (database) => {
      expect(await database.db.$count(sessions)).toBe(0)
      expect(await database.db.$count(users)).toBe(1)
      const [user] = await database.db.select().from(users)
      expect(user).toMatchObject({ role: 'SuperAdmin', isActive: true })
      expect((await auditIn(database)).at(-1)).toMatchObject({
        action: 'user.password_reset',
        actorKind: 'console',
        details: { before: { role: 'Viewer', isActive: false }, after: { role: 'SuperAdmin', isActive: true } },
      })
    })
    await withServer(place, async (server) => {
      const page = await server.request('/api-keys', { headers: { cookie } })
      expect([page.status, page.headers.get('location')?.startsWith('/sign-in')]).toEqual([302, true])
      expect((await signIn(server, email, before.stdout.trim())).status).toBe(400)
      expect((await signIn(server, email, restored.stdout.trim())).status).toBe(302)
    })
  })

  test('--password-stdin takes the password from standard input, prints nothing, and signs in', async () => {
    const password = 'correct horse battery'
    const made = await mateProcess(place, ['create-admin', '--email', 'eve@example.com', '--password-stdin'], `${password}\n`)
    expect(made).toEqual({ code: 0, stdout: '', stderr: '' })
    await withServer(place, async (server) => {
      expect((await signIn(server, 'eve@example.com', password)).status).toBe(302)
    })
  })
})

test('create-tenant makes a tenant once, whatever the case, and create-key --tenant finds it', async () => {
  const place = await makePlace()
  expect(await mate(place, ['create-tenant', '--name', 'First'])).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(await mate(place, ['create-tenant', '--name', 'Second'])).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(await mate(place, ['create-tenant', '--name', 'SECOND'])).toMatchObject({ code: 2, stdout: '' })
  const made = await mate(place, ['create-key', '--role', 'Tester', '--name', 'ci', '--tenant', 'second', '--days', '7'])
  expect(made.stdout).toMatch(aKeyAlone)
  await inDatabase(place, async (database) => {
    const rows = await database.db
      .select({
        tenant: tenants.name,
        role: apiKeys.role,
        days: sql<number>`extract(epoch from expires_at - now())::float8 / 86400`,
      })
      .from(apiKeys)
      .innerJoin(tenants, eq(tenants.id, apiKeys.tenantId))
    expect(rows).toEqual([{ tenant: 'Second', role: 'Tester', days: expect.closeTo(7, 1) }])
    expect((await auditIn(database)).map(({ action, actorKind }) => `${actorKind} ${action}`)).toEqual([
      'console tenant.created',
      'console tenant.created',
      'console api_key.created',
    ])
  })
})

test('migrate brings an empty database to the current schema, and a second time changes nothing', async () => {
  const place = await makeEmptyPlace()
  const read = () =>
    inDatabase(place, ({ db }) => db.select({ hash: sql<string>`hash` }).from(sql`mate_migrations`).orderBy(sql`created_at`))
  expect(await mate(place, ['migrate'])).toEqual({ code: 0, stdout: '', stderr: '' })
  const first = await read()
  expect(first.length).toBeGreaterThan(1)
  expect(await mate(place, ['migrate'])).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(await read()).toEqual(first)
})

test('help names every command and setting, and opens no database', async () => {
  const nowhere = { settings: { DATABASE_URL: 'postgres://127.0.0.1:1/nowhere' } }
  const results = await Promise.all([['help'], ['--help'], []].map((args) => mate(nowhere, args)))
  for (const { code, stdout, stderr } of results) {
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const word of ['create-key', 'create-admin', 'create-tenant', 'migrate', 'DATABASE_URL', 'MATE_SIGN_IN_ATTEMPTS']) {
      expect(stdout).toContain(word)
    }
  }
})

test('an unreachable database is named in one line, without its password', async () => {
  const result = await mateProcess({ settings: { DATABASE_URL: 'postgres://mate:canary-of-a-password@127.0.0.1:1/mate' } }, [
    'migrate',
  ])
  expect(result).toMatchObject({ code: 1, stdout: '' })
  expect(result.stderr).toMatch(/^The database in DATABASE_URL .*\n$/)
  expect(result.stderr).not.toContain('canary')
})

test('inside an npm script, node is the version 24 that came with the packages, whatever the machine has', () => {
  const path = (process.env.PATH ?? '').split(':').filter((folder) => !folder.includes('node_modules'))
  const env = { ...environment({}), PATH: path.join(':') }
  const script = spawnSync('npm', ['run', '-s', 'env'], { env, encoding: 'utf8' })
  const scriptPath = /^PATH=(.*)$/m.exec(script.stdout)?.[1] ?? ''
  const version = spawnSync('node', ['-v'], { env: { ...env, PATH: scriptPath }, encoding: 'utf8' })
  expect(version.stdout).toMatch(/^v24\.\d+\.\d+\n$/)
})
