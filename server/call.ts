// What a request brings to the gate, whichever door it came through. The client's types reach it.

/** Who a request says it is; nothing here is believed before the gate has looked it up. */
export type Credential =
  | { kind: 'none' }
  /** Two different credentials in one request. */
  | { kind: 'conflict' }
  | { kind: 'key'; key: string }
  /** A session whose signed cookie better-auth has verified. Only the pages make these. */
  | { kind: 'session'; sessionId: string }
  /** The operator's console, on the machine of the database. Only scripts/mate.ts makes these. */
  | { kind: 'console'; tenantId: string }

export interface Call {
  door: 'rest' | 'trpc' | 'page' | 'console'
  requestId: string
  /** The client's address, as the socket or a trusted proxy tells it. */
  ip: string | null
  userAgent: string | null
  credential: Credential
  /** `X-Tenant-Id`, as sent. */
  tenantId: string | null
  /** One of several calls that a request makes: it is looked up like any, and counted with the request's first. */
  isContinued?: boolean
  /** `Idempotency-Key`, read from its header: only REST has it. */
  idempotencyKey?: string | undefined
  /** True once nothing more should be waited for: the client is gone, or the server stops. */
  isHurried?: () => boolean
  /** Adds a header to the answer, whatever that will be; the doors of pages and the console have none. */
  setHeader?: ((name: string, value: string) => void) | undefined
}
