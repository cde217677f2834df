// The server's own secret: given by MATE_SECRET, else made at the first start and kept in the database.
import { randomBytes } from 'node:crypto'
import { eq } from 'drizzle-orm'
import type { Database } from '#db/client.ts'
import { settings } from '#db/schema.ts'
import type { Env } from './env.ts'

const name = 'secret'

/** The same on every node of a deployment: the first one to write it wins. */
export async function loadSecret({ db }: Database, env: Env): Promise<string> {
  if (env.MATE_SECRET) return env.MATE_SECRET
  await db
    .insert(settings)
    .values({ name, value: randomBytes(32).toString('base64url') })
    .onConflictDoNothing()
  const [row] = await db.select({ value: settings.value }).from(settings).where(eq(settings.name, name))
  if (!row) throw new Error('The secret could not be read back.')
  return row.value
}
