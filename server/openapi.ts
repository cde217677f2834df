// The OpenAPI 3.1 document: trpc-to-openapi makes it from the router, and we say of each operation what our REST door does.
import { type GenerateOpenApiDocumentOptions, generateOpenApiDocument } from 'trpc-to-openapi'
import { exampleOf } from './openapi-examples.ts'
import { listOperations, listScopes, type Operation } from './operations.ts'
import { Problem } from './problem.ts'
import { rolePermissions } from './roles.ts'
import { appRouter } from './routers/index.ts'

const describeApi = () => `The REST API of mate. Send an API key in \`X-API-Key\`, or as \`Authorization: ApiKey <key>\`.

A key has one of four roles, least first: ${Object.entries(rolePermissions)
  .map(([role, permits]) => `**${role}** (${permits})`)
  .join(
    ', ',
  )}. \`x-required-role\` names the least role of each operation; \`Public\` ones need no key. A key can be narrowed further: to networks, to requests a minute (\`RateLimit\` says what is left), and to scopes; \`x-required-scope\` names the scope of each operation: ${listScopes()
  .map((scope) => `\`${scope}\``)
  .join(', ')}.

Send an \`Idempotency-Key\` with a POST, and it can be repeated without being done twice. A key that ends within 14 days says so in \`X-API-Key-Expires\`, on every answer.

Errors are problem details (RFC 9457). Lists are \`{ items, nextCursor }\`: send \`nextCursor\` as \`cursor\` for the next page.`

const tags = {
  me: 'Who is calling.',
  agents: 'What the tests of a tenant talk to.',
  testsuites: 'What is said to agents, and what is expected of them.',
  judgesettings: 'How answers are judged.',
  runs: 'Suites executed against agents, and what came of it.',
  metrics: 'What the runs came to.',
  'api-keys': 'Keys that open this API.',
  'trust-rules': 'Which CI pipelines get a key without storing one.',
  tokens: 'A CI provider’s token for a key.',
  roles: 'What each role may call.',
  tenants: 'Who shares this deployment, and how much each may have.',
  'audit-log': 'Who did what, when and from where.',
  notices: 'What admins should know of their keys.',
  users: 'Who may sign in, and what happens when they leave.',
  webhooks: 'Where notices and the audit log are sent.',
  'identity-providers': 'Who vouches for people: single sign-on by OpenID Connect.',
  'sign-in-policy': 'How people of the tenant have to sign in.',
}

// What each status means on this API, for the operations that can answer it.
const problems: Record<number, string> = {
  400: 'The input is not valid; `errors` says what is wrong, field by field.',
  401: 'No API key, or one that is malformed, unknown, revoked or expired.',
  403: 'The role or the scopes are not enough, or the key may not be used from here, or now; the detail says what would be.',
  404: 'There is no such thing in this tenant.',
  409: 'It conflicts with what is there, such as a name in use, or a key that is no longer active.',
  413: 'The body has more than 1,000,000 bytes.',
  415: 'The body is not JSON.',
  422: 'The Idempotency-Key was sent before with another request.',
  429: 'The key, or without one the address, has made all the requests that it may make in a minute; or, as `quota_exceeded` and without `Retry-After`, the tenant has as many as its quota allows.',
  500: 'Something went wrong on our side.',
  503: 'The database does not answer.',
}

type Json = Record<string, unknown>

interface DocumentOperation extends Json {
  operationId: string
  parameters?: { name: string; in: string }[]
  requestBody?: { required?: boolean; content: Record<string, Json> }
  responses: Record<string, Json>
}

/** @param origin where the API is served, without a slash at the end; empty for a document that travels with its server. */
export function createOpenApiDocument(origin = ''): Json {
  const options: GenerateOpenApiDocumentOptions = {
    title: 'mate',
    description: describeApi(),
    version: '1',
    openApiVersion: '3.1.0',
    baseUrl: `${origin}/api`,
    license: { name: 'Proprietary', identifier: 'LicenseRef-mate' },
    defs: { Problem },
    securitySchemes: {
      apiKeyHeader: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'The key alone.' },
      apiKeyAuthorization: {
        type: 'apiKey',
        in: 'header',
        name: 'Authorization',
        description: '`ApiKey <key>`; the scheme has no case, and `Bearer <key>` is accepted too.',
      },
    },
  }
  const document = generateOpenApiDocument(appRouter as never, options) as unknown as Json & { paths: Record<string, Json> }
  for (const operation of listOperations()) {
    const { method, path } = operation.meta.openapi
    describeOperation(document.paths[path]?.[method.toLowerCase()] as DocumentOperation, operation)
  }
  document.tags = Object.entries(tags).map(([name, text]) => ({ name, description: text }))
  document.security = [{ apiKeyHeader: [] }, { apiKeyAuthorization: [] }]
  const { components } = document as unknown as { components: { responses?: Json; schemas: Json } }
  delete components.responses
  for (const field of new Set(listOperations().flatMap(({ meta }) => meta.shownOnce ?? []))) {
    makeNullable(components.schemas.NewApiKey as Json, field)
  }
  for (const name of Object.keys(components.schemas)) if (name.startsWith('error.')) delete components.schemas[name]
  return document
}

function describeOperation(target: DocumentOperation, { name, meta, scope, input }: Operation): void {
  const { status = 200, location, path, method } = meta.openapi
  const example = exampleOf(name)
  target.operationId = name.replace('.', '_')
  target['x-required-role'] = meta.role
  if (meta.role !== 'Public') target['x-required-scope'] = scope
  target['x-trpc-procedure'] = name
  if (meta.audit) target['x-audit-event'] = meta.audit
  const isPublic = meta.role === 'Public'
  target.security = isPublic ? [] : [{ apiKeyHeader: [] }, { apiKeyAuthorization: [] }]
  target.parameters = [
    ...(target.parameters ?? []),
    ...(isPublic || meta.actsIn ? [] : [tenantHeader]),
    ...(method === 'POST' && !isPublic ? [idempotencyHeader] : []),
  ]
  const body = target.requestBody?.content['application/json']
  if (body && example.request) body.example = example.request
  if (target.requestBody) target.requestBody.required = hasRequiredField(input, path)

  const success = (target.responses['200'] ?? {}) as Json
  success.description = status === 201 ? 'Made.' : status === 204 ? 'Done; there is no body.' : 'Success.'
  if (status === 204) delete success.content
  const content = success.content as Record<string, Json> | undefined
  if (content?.['application/json'] && example.response) content['application/json'].example = example.response
  if (meta.openapi.stream) success.content = filesOf(meta.openapi.stream)
  const headers: Json = {
    'X-Request-Id': { description: 'Quote it when you report a problem.', schema: { type: 'string', format: 'uuid' } },
    ...(isPublic ? {} : limitHeaders),
  }
  if (location) headers.Location = { description: 'Where it is.', schema: { type: 'string' } }
  target.responses = { [status]: { ...success, headers } }

  const statuses = [400, ...(isPublic ? [] : [401, 403]), 429, 500, 503]
  if (path.includes('{') || meta.openapi.finds) statuses.push(404)
  if (method === 'POST' || method === 'PUT' || method === 'PATCH') statuses.push(413, 415)
  if (method === 'POST' && !isPublic) statuses.push(422)
  if (meta.openapi.conflicts) statuses.push(409)
  for (const problem of statuses.sort()) target.responses[problem] = problemResponse(problem)
}

function filesOf(types: readonly string[]): Json {
  return Object.fromEntries(types.map((type) => [type, { schema: { type: 'string' } }]))
}

function hasRequiredField(input: Operation['input'], path: string): boolean {
  return Object.entries(input.shape).some(
    ([field, schema]) => !path.includes(`{${field}}`) && !schema.safeParse(undefined).success,
  )
}

const tenantHeader = {
  name: 'X-Tenant-Id',
  in: 'header',
  required: false,
  description: 'The tenant to act in, for a SuperAdmin; anyone else’s must be their own.',
  schema: { type: 'string', format: 'uuid' },
}

const idempotencyHeader = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'A text of your choosing, 1 to 255 visible ASCII characters, such as a UUID. A repeat within 24 hours is answered as the first request was, with `Idempotency-Replayed: true`, and does nothing; a secret is null in it. A request that failed may be repeated and is done then. With another body it is 422.',
  schema: { type: 'string', minLength: 1, maxLength: 257 },
}

// Draft-ietf-httpapi-ratelimit-headers-10.
const limitHeaders: Json = {
  'RateLimit-Policy': { description: 'Of a limited key: `"minute";q=<requests>;w=60`.', schema: { type: 'string' } },
  RateLimit: { description: 'Of a limited key: `"minute";r=<left>;t=<seconds to the next minute>`.', schema: { type: 'string' } },
  'X-API-Key-Expires': {
    description: 'Of a key that ends within 14 days: when, by its expiry or its rotation.',
    schema: { type: 'string', format: 'date-time' },
  },
}

/** What is shown once is null in the answer to a repeat. */
function makeNullable(schema: Json, field: string): void {
  const property = (schema.properties as Record<string, Json>)[field] ?? {}
  property.type = [property.type, 'null']
  property.description = `${property.description} Null in the answer to a repeat by Idempotency-Key: it is shown once.`
}

function problemResponse(status: number): Json {
  const headers: Json = {}
  if (status === 401) headers['WWW-Authenticate'] = { description: '`ApiKey`.', schema: { type: 'string' } }
  if (status === 503 || status === 429)
    headers['Retry-After'] = {
      description: status === 429 ? 'Seconds to wait; missing when a quota is full.' : 'Seconds to wait.',
      schema: { type: 'integer' },
    }
  return {
    description: problems[status],
    ...(Object.keys(headers).length > 0 ? { headers } : {}),
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  }
}
