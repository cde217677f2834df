// What is dangerous asks a person for a sign-in of the last minutes: a browser left open does not do it.
import { TRPCError } from '@trpc/server'
import { sql } from 'drizzle-orm'
import type { Tx } from '#db/client.ts'
import type { Principal } from './principal.ts'
import { ProblemKind } from './problem.ts'
import { isRoleAtLeast, type Role } from './roles.ts'

/** How long a sign-in is fresh, by the database's clock. */
export const freshFor = '5 minutes'

/** FORBIDDEN, as a problem of its own kind: a page leads to /sign-in/again by it, and back. */
export function signInAgain(): TRPCError {
  const message = 'This asks for a sign-in of the last 5 minutes. Sign in again, then repeat it.'
  return new TRPCError({ code: 'FORBIDDEN', message, cause: new ProblemKind('sign_in_again') })
}

/**
 * For a key of this role to be made. Keys and the console are no persons, and are not asked.
 * @throws TRPCError FORBIDDEN of the kind `sign_in_again`.
 */
export async function requireFreshToMint(tx: Tx, { authenticatedAt }: Principal, role: Role): Promise<void> {
  if (authenticatedAt === null || !isRoleAtLeast(role, 'TenantAdmin')) return
  const since = authenticatedAt.toISOString()
  const [now] = await tx
    .select({ isFresh: sql<boolean>`${since}::timestamptz > clock_timestamp() - ${freshFor}::interval` })
    .from(sql`(select) as once`)
  if (!now?.isFresh) throw signInAgain()
}
