// Once before all tests: builds the server, and migrates one database that every test file gets a copy of.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { drizzle } from 'drizzle-orm/pglite'
import postgres from 'postgres'
import type { TestProject } from 'vitest/node'
import { type Database, type Db, openDatabase, pgliteExtensions } from '#db/client.ts'
import { migrate } from '#db/migrate.ts'
import { pgliteQueue } from '#db/queue-connection.ts'
import { installJobs } from '#server/jobs.ts'
import { isBuilt } from '../scripts/source-hash.ts'
import { findBrowser } from './e2e/browser.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Of the PostgreSQL to test on; empty for PGlite. */
    serverUrl: string
    /** Name of the migrated database, or path of the migrated data folder's archive. */
    template: string
    /** Path of a Chromium. */
    browser: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (!isBuilt()) execFileSync(process.execPath, ['scripts/build.ts'], { stdio: 'inherit' })
  project.provide('browser', findBrowser())
  const serverUrl = process.env.MATE_TEST_DATABASE_URL ?? ''
  project.provide('serverUrl', serverUrl)
  return serverUrl ? setupPostgres(project, serverUrl) : setupPglite(project)
}

async function setupPostgres(project: TestProject, serverUrl: string): Promise<() => Promise<void>> {
  const template = `mate_test_template_${process.pid}`
  const admin = postgres(serverUrl, { max: 1, onnotice: () => {} })
  await admin.unsafe(`drop database if exists ${template}`)
  await admin.unsafe(`create database ${template}`)
  const url = new URL(serverUrl)
  url.pathname = `/${template}`
  const database = await openDatabase({ url: url.href, maxConnections: 1 })
  await migrate(database)
  await installJobs(database)
  await database.close()
  project.provide('template', template)
  return async () => {
    const left = await admin`select datname from pg_database where datname like ${`mate_test_${process.pid}_%`}`
    for (const { datname } of left) await admin.unsafe(`drop database if exists ${datname} with (force)`)
    await admin.unsafe(`drop database if exists ${template} with (force)`)
    await admin.end()
  }
}

async function setupPglite(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'mate-test-'))
  const client = await PGlite.create({ extensions: pgliteExtensions })
  const db = drizzle(client) as unknown as Db // as db/client.ts does
  const database = {
    kind: 'pglite',
    db,
    transaction: (work) => db.transaction((tx) => work(tx, () => {})), // migrations have no last statement
    read: (work) => db.transaction((tx) => work(tx, 'transaction')),
    query: (text, values) => client.query<Record<string, unknown>>(text, values),
    ping: async () => {},
    whileAlive: (work) => work(),
    readers: () => ({ busy: 0, waiting: 0 }),
    queue: pgliteQueue(client),
    close: () => client.close(),
  } satisfies Database
  await migrate(database)
  await installJobs(database)
  const template = join(folder, 'template.tar')
  writeFileSync(template, new Uint8Array(await (await client.dumpDataDir('none')).arrayBuffer()))
  await client.close()
  project.provide('template', template)
  return async () => rmSync(folder, { recursive: true, force: true })
}
