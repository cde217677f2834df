// Secrets and signatures of webhooks, as Standard Webhooks 1.0 has them (standardwebhooks.com).
import { createHmac, randomBytes } from 'node:crypto'

const prefix = 'whsec_'

/** A new secret in the form that is shown: 32 random bytes in base64. */
export function generateWebhookSecret(): string {
  return prefix + randomBytes(32).toString('base64')
}

/** The `webhook-signature` field: one signature for each secret, for a receiver that knows any of them. */
export function signWebhook(secrets: string[], id: string, timestampSeconds: number, body: string): string {
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(prefix.length), 'base64')
    return `v1,${createHmac('sha256', key).update(`${id}.${timestampSeconds}.${body}`).digest('base64')}`
  })
  return signatures.join(' ')
}
