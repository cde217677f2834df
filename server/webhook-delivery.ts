// One attempt to deliver an event: signed, sent by the guarded way out, its outcome written down, the next one asked for.
import { and, eq, isNotNull, isNull, sql } from 'drizzle-orm'
import type { Database, Tx } from '#db/client.ts'
import { tenants, webhookDeliveries, webhooks } from '#db/schema.ts'
import { writeAudit } from './audit.ts'
import { handOver } from './audit-stream.ts'
import type { Env } from './env.ts'
import type { JobData } from './jobs.ts'
import { notify } from './notices.ts'
import { OutboundFailure, type OutboundRules, sendOutbound } from './outbound.ts'
import { actIn } from './principal.ts'
import { secondsOfRetryAfter } from './retry-after.ts'
import { unseal } from './secret-box.ts'
import { auditEvent, requestAttempt, testEvent } from './webhook-messages.ts'
import { signWebhook } from './webhook-signature.ts'

export interface DeliveryContext {
  database: Database
  secret: string
  env: Pick<Env, 'MATE_ALLOW_PRIVATE_AGENTS'>
  resolve?: OutboundRules['resolve']
}

/** Waits before each retry, as Standard Webhooks recommends them: three and a half days in all. */
const retryAfterSeconds = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
const longestWaitSeconds = 86_400
const jitter = 0.1
const timeoutMs = 10_000
/** Of the answer only the status counts. */
const maxBytes = 1_024
/** How long one job goes on with what comes behind its batch. */
const batchesWithinMs = 30_000
/** How long nothing but failures makes a webhook inactive. */
const failingDays = 5

interface Attempt {
  id: string
  tenantId: string
  webhookId: string
  url: string
  event: string
  body: string
  retries: number
  attempt: number
  /** Undefined when they were sealed with another secret of the server. */
  secrets: string[] | undefined
}

interface Outcome {
  isDelivered: boolean
  status: number | null
  durationMs: number
  error: string | null
  /** Of the answer's Retry-After. */
  waitSeconds?: number | undefined
}

/** Makes the attempt that the job asks for; of the audit log, what comes behind it too, so that a long log is not slow. */
export async function attemptDelivery(context: DeliveryContext, job: JobData['webhook.deliver']): Promise<void> {
  const until = Date.now() + batchesWithinMs
  for (let next: typeof job | undefined = job; next; ) {
    const done = await attemptOnce(context, next)
    next = done?.event === auditEvent && Date.now() < until ? await nextBatch(context, done) : undefined
  }
}

/** @returns what was delivered. */
async function attemptOnce(context: DeliveryContext, job: JobData['webhook.deliver']): Promise<Attempt | undefined> {
  const { database, secret } = context
  const attempt = await database.transaction((tx) => prepareAttempt(tx, secret, job))
  if (!attempt) return undefined
  const outcome = await send(attempt, context)
  await database.transaction((tx) => recordAttempt(tx, attempt, outcome))
  return outcome.isDelivered ? attempt : undefined
}

/** Its own job, should this process die meanwhile, is asked for with it, and finds it done otherwise. */
async function nextBatch({ database }: DeliveryContext, { tenantId, webhookId }: Attempt) {
  const deliveryId = await database.transaction((tx) => handOver(tx, tenantId, webhookId))
  return deliveryId === undefined ? undefined : { tenantId, deliveryId, attempt: 1 }
}

/** Undefined when there is nothing to do: done already by another job, deleted, or its webhook or its tenant is inactive. */
async function prepareAttempt(tx: Tx, secret: string, job: JobData['webhook.deliver']): Promise<Attempt | undefined> {
  await actIn(tx, 'transaction', job.tenantId)
  const [row] = await tx
    .select({
      id: webhookDeliveries.id,
      tenantId: webhookDeliveries.tenantId,
      event: webhookDeliveries.event,
      body: webhookDeliveries.body,
      retries: webhookDeliveries.retries,
      webhookId: webhooks.id,
      url: webhooks.url,
      isActive: webhooks.isActive,
      secret: webhooks.secret,
      previousSecret: sql<Uint8Array | null>`case when ${webhooks.previousSecretUntil} > clock_timestamp() then ${webhooks.previousSecret} end`,
    })
    .from(webhookDeliveries)
    .innerJoin(webhooks, eq(webhooks.id, webhookDeliveries.webhookId))
    .innerJoin(tenants, and(eq(tenants.id, webhookDeliveries.tenantId), tenants.isActive))
    .where(isAttempt(job.tenantId, job.deliveryId, job.attempt))
  if (!row || !(row.isActive || row.event === testEvent)) return undefined
  const { secret: current, previousSecret, isActive: _, ...rest } = row
  const sealed = previousSecret ? [current, previousSecret] : [current]
  return { ...rest, attempt: job.attempt, secrets: unsealAll(secret, row.webhookId, sealed) }
}

function unsealAll(secret: string, webhookId: string, sealed: Uint8Array[]): string[] | undefined {
  try {
    return sealed.map((each) => unseal(secret, webhookId, each))
  } catch {
    return undefined
  }
}

const isAttempt = (tenantId: string, id: string, attempt: number) =>
  and(
    eq(webhookDeliveries.tenantId, tenantId),
    eq(webhookDeliveries.id, id),
    eq(webhookDeliveries.attempts, attempt - 1),
    eq(webhookDeliveries.status, 'pending'),
  )

async function send({ id, url, body, secrets }: Attempt, { env, resolve }: DeliveryContext): Promise<Outcome> {
  if (!secrets) {
    const error = 'The secret can’t be read any more, since the server’s own has changed. Rotate it.'
    return { isDelivered: false, status: null, durationMs: 0, error }
  }
  const timestamp = Math.floor(Date.now() / 1_000)
  const headers = {
    'Content-Type': 'application/json',
    'User-Agent': 'mate-webhooks/1',
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signWebhook(secrets, id, timestamp, body),
  }
  const rules = { allowPrivate: env.MATE_ALLOW_PRIVATE_AGENTS, ...(resolve ? { resolve } : {}) }
  const from = performance.now()
  const took = () => Math.round(performance.now() - from)
  try {
    const answer = await sendOutbound({ url, method: 'POST', headers, body, timeoutMs, maxBytes }, rules)
    const { status } = answer
    const isDelivered = status >= 200 && status < 300
    const asked = status === 429 || status === 503 ? secondsOfRetryAfter(answer.headers['retry-after']) : undefined
    const waitSeconds = asked && Math.min(asked, longestWaitSeconds)
    return { isDelivered, status, durationMs: took(), error: isDelivered ? null : wordsFor(status), waitSeconds }
  } catch (error) {
    if (!(error instanceof OutboundFailure)) throw error
    return { isDelivered: false, status: null, durationMs: took(), error: error.message }
  }
}

function wordsFor(status: number): string {
  if (status === 410) return 'The receiver answered 410 Gone: it wants no more events.'
  if (status >= 300 && status < 400) return `The receiver answered with a redirect (${status}), which is not followed.`
  return `The receiver answered ${status}.`
}

async function recordAttempt(tx: Tx, attempt: Attempt, outcome: Outcome): Promise<void> {
  const { id, tenantId, webhookId, retries } = attempt
  await actIn(tx, 'transaction', tenantId)
  const wait = outcome.isDelivered || outcome.status === 410 ? undefined : waitBefore(attempt, outcome)
  const nextAttemptAt = wait === undefined ? null : new Date(Date.now() + wait * 1_000)
  const recorded = await tx
    .update(webhookDeliveries)
    .set({
      status: outcome.isDelivered ? 'delivered' : nextAttemptAt ? 'pending' : 'failed',
      attempts: attempt.attempt,
      retries: retries + 1,
      nextAttemptAt,
      lastAttemptAt: sql`clock_timestamp()`,
      responseStatus: outcome.status,
      durationMs: outcome.durationMs,
      error: outcome.error,
    })
    .where(isAttempt(tenantId, id, attempt.attempt))
    .returning({ id: webhookDeliveries.id })
  if (recorded.length === 0) return
  if (nextAttemptAt) await requestAttempt(tx, { id, tenantId, webhookId, attempts: attempt.attempt }, nextAttemptAt)
  if (attempt.event !== testEvent) await judgeWebhook(tx, attempt, outcome)
}

/** Seconds; undefined when it was the last attempt. The audit log waits for its receiver as long as the webhook is active. */
function waitBefore({ event, retries }: Attempt, { waitSeconds = 0 }: Outcome): number | undefined {
  if (event === testEvent) return undefined
  const planned = retryAfterSeconds[retries] ?? (event === auditEvent ? longestWaitSeconds : undefined)
  return planned === undefined ? undefined : Math.max(planned * (1 + jitter * Math.random()), waitSeconds)
}

async function judgeWebhook(tx: Tx, { tenantId, webhookId }: Attempt, { isDelivered, status }: Outcome): Promise<void> {
  const isThis = and(eq(webhooks.tenantId, tenantId), eq(webhooks.id, webhookId))
  if (isDelivered) {
    await tx
      .update(webhooks)
      .set({ failingSince: null })
      .where(and(isThis, isNotNull(webhooks.failingSince)))
    return
  }
  await tx
    .update(webhooks)
    .set({ failingSince: sql`clock_timestamp()` })
    .where(and(isThis, isNull(webhooks.failingSince)))
  const isOver = sql`${webhooks.failingSince} < clock_timestamp() - make_interval(days => ${failingDays})`
  const reason = status === 410 ? 'The receiver answered 410 Gone.' : `Every delivery failed for ${failingDays} days.`
  const [ended] = await tx
    .update(webhooks)
    .set({ isActive: false, deactivatedReason: reason, updatedAt: sql`clock_timestamp()` })
    .where(and(isThis, webhooks.isActive, status === 410 ? undefined : isOver))
    .returning({ url: webhooks.url })
  if (!ended) return
  await writeAudit(tx, {
    tenantId,
    actor: { kind: 'system', id: 'webhooks', name: 'webhooks', role: null },
    action: 'webhook.deactivated',
    entity: { type: 'webhook', id: webhookId, name: ended.url },
    outcome: 'success',
    origin: { ip: null, userAgent: null, requestId: crypto.randomUUID() },
    before: { isActive: true },
    after: { isActive: false },
    reason,
  })
  await notify(tx, { kind: 'webhook.deactivated', tenantId, about: { id: webhookId, name: ended.url }, facts: { reason } })
}
