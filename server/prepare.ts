// What every process does first: opens the database, brings it up to date, looks at its walls, and has its secrets.
import { type Database, openDatabase } from '#db/client.ts'
import { checkWalls, migrate } from '#db/migrate.ts'
import { loadAuditSigner } from './audit-signer.ts'
import type { Env } from './env.ts'
import { useRuntime } from './runtime.ts'
import { loadSecret } from './secret.ts'

export const openConfigured = ({ DATABASE_URL: url, MATE_DATA_DIR: dataDir, MATE_DB_CONNECTIONS: maxConnections }: Env) =>
  openDatabase({ url, dataDir, maxConnections })

/** Brings the database up to date and makes it this process's. @returns the secret. @throws Error when the wall does not hold. */
export async function prepareRuntime(database: Database, env: Env): Promise<string> {
  await migrate(database)
  await checkWalls(database.db)
  const secret = await loadSecret(database, env)
  useRuntime({ env, database, secret, auditSigner: await loadAuditSigner(database, env, secret) })
  return secret
}
