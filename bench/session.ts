// A signed-in person for the pages: what a sign-in leaves in the database, and the cookie that the browser would have.
import { createHmac, randomBytes } from 'node:crypto'
import postgres from 'postgres'

/** The cookie of a new TenantAdmin of the first tenant. A server has to have started once: it made the secret. */
export async function signIn(url: string): Promise<string> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  const token = randomBytes(24).toString('base64url')
  const email = `${randomBytes(6).toString('hex')}@example.com`
  const [user] = await sql<{ id: string }[]>`
    insert into users (name, email, email_verified, tenant_id, role)
    select 'Bench', ${email}, true, id, 'TenantAdmin' from tenants order by created_at limit 1 returning id`
  await sql`insert into sessions (user_id, token, expires_at) values (${user?.id ?? ''}, ${token}, now() + interval '1 day')`
  const [secret] = await sql<{ value: string }[]>`select value from settings where name = 'secret'`
  await sql.end()
  const signature = createHmac('sha256', secret?.value ?? '')
    .update(token)
    .digest('base64')
  return `mate.session_token=${encodeURIComponent(`${token}.${signature}`)}`
}
