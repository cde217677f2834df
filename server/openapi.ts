// The OpenAPI 3.1 document: trpc-to-openapi makes it from the router, and we say of each operation what our REST door does.
import { type GenerateOpenApiDocumentOptions, generateOpenApiDocument } from 'trpc-to-openapi'
import { exampleOf } from './openapi-examples.ts'
import { listOperations, type Operation } from './operations.ts'
import { Problem } from './problem.ts'
import { rolePermissions } from './roles.ts'
import { appRouter } from './routers/index.ts'

const description = `The REST API of mate. Send an API key in \`X-API-Key\`, or as \`Authorization: ApiKey <key>\`.

A key has one of four roles, least first: ${Object.entries(rolePermissions)
  .map(([role, permits]) => `**${role}** (${permits})`)
  .join(', ')}. \`x-required-role\` names the least role of each operation.

Errors are problem details (RFC 9457). Lists are \`{ items, nextCursor }\`: send \`nextCursor\` as \`cursor\` for the next page.`

const tags = {
  me: 'Who is calling.',
  agents: 'What the tests of a tenant talk to.',
  'api-keys': 'Keys that open this API.',
  'audit-log': 'Who did what, when and from where.',
}

// What each status means on this API, for the operations that can answer it.
const problems: Record<number, string> = {
  400: 'The input is not valid; `errors` says what is wrong, field by field.',
  401: 'No API key, or one that is malformed, unknown, revoked or expired.',
  403: 'The role is not enough; the detail names the role needed and the role held.',
  404: 'There is no such thing in this tenant.',
  409: 'It conflicts with what is there, such as a name in use.',
  413: 'The body has more than 1,000,000 bytes.',
  415: 'The body is not JSON.',
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
    description,
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
  for (const name of Object.keys(components.schemas)) if (name.startsWith('error.')) delete components.schemas[name]
  return document
}

function describeOperation(target: DocumentOperation, { name, kind, meta, input }: Operation): void {
  const { status = 200, location, path, method } = meta.openapi
  const example = exampleOf(name)
  target.operationId = name.replace('.', '_')
  target['x-required-role'] = meta.role
  target['x-trpc-procedure'] = name
  if (meta.audit) target['x-audit-event'] = meta.audit
  target.security = [{ apiKeyHeader: [] }, { apiKeyAuthorization: [] }]
  target.parameters = [...(target.parameters ?? []), tenantHeader]
  const body = target.requestBody?.content['application/json']
  if (body && example.request) body.example = example.request
  if (target.requestBody) target.requestBody.required = hasRequiredField(input, path)

  const success = (target.responses['200'] ?? {}) as Json
  success.description = status === 201 ? 'Made.' : status === 204 ? 'Done; there is no body.' : 'Success.'
  if (status === 204) delete success.content
  const content = success.content as Record<string, Json> | undefined
  if (content?.['application/json'] && example.response) content['application/json'].example = example.response
  const headers: Json = {
    'X-Request-Id': { description: 'Quote it when you report a problem.', schema: { type: 'string', format: 'uuid' } },
  }
  if (location) headers.Location = { description: 'Where it is.', schema: { type: 'string' } }
  target.responses = { [status]: { ...success, headers } }

  const statuses = [400, 401, 403, 500, 503]
  if (path.includes('{')) statuses.push(404)
  if (method === 'POST' || method === 'PUT' || method === 'PATCH') statuses.push(413, 415)
  if (kind === 'mutation' && target.requestBody && !path.endsWith('/revoke')) statuses.push(409)
  for (const problem of statuses.sort()) target.responses[problem] = problemResponse(problem)
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

function problemResponse(status: number): Json {
  const headers: Json = {}
  if (status === 401) headers['WWW-Authenticate'] = { description: '`ApiKey`.', schema: { type: 'string' } }
  if (status === 503) headers['Retry-After'] = { description: 'Seconds to wait.', schema: { type: 'integer' } }
  return {
    description: problems[status],
    ...(Object.keys(headers).length > 0 ? { headers } : {}),
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  }
}
