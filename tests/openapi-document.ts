// Our own OpenAPI document as tests read it: each operation beside its description, and schemas that can be checked against.
import { z } from 'zod'
import { createOpenApiDocument } from '#server/openapi.ts'
import { listOperations } from '#server/operations.ts'
import type { Role } from '#server/roles.ts'
import '#server/routers/index.ts'

export interface JsonSchema {
  [key: string]: unknown
}

interface Content {
  schema: JsonSchema
  example?: unknown
}

interface DocumentedResponse {
  description: string
  headers?: Record<string, unknown>
  content?: Record<string, Content>
}

export interface DocumentedOperation {
  operationId: string
  summary: string
  description: string
  tags: string[]
  security: Record<string, string[]>[]
  parameters: { name: string; in: string; required?: boolean; description?: string; schema: JsonSchema }[]
  requestBody?: { required: boolean; content: Record<string, Content> }
  responses: Record<string, DocumentedResponse>
  'x-required-role': Role
  'x-required-scope': string
}

export interface Document {
  openapi: string
  servers: { url: string }[]
  tags: { name: string; description: string }[]
  paths: Record<string, Record<string, DocumentedOperation>>
  components: { schemas: Record<string, JsonSchema>; securitySchemes: Record<string, JsonSchema> }
}

export const document = createOpenApiDocument() as unknown as Document
export const documentedOperations = listOperations().map((operation) => {
  const { method, path } = operation.meta.openapi
  const documented = document.paths[path]?.[method.toLowerCase()]
  if (!documented) throw new Error(`${operation.name} is not in the document`)
  return { ...operation, method, path, documented, status: operation.meta.openapi.status ?? 200 }
})
export type TestedOperation = (typeof documentedOperations)[number]

/** A schema of the document with every reference in place, as a zod schema. */
export function zodOf(schema: JsonSchema): z.ZodType {
  const resolve = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(resolve)
    if (typeof value !== 'object' || value === null) return value
    const { $ref, ...rest } = value as { $ref?: string }
    if ($ref === undefined) return Object.fromEntries(Object.entries(rest).map(([key, each]) => [key, resolve(each)]))
    const found = document.components.schemas[$ref.replace('#/components/schemas/', '')]
    if (!found) throw new Error(`${$ref} leads nowhere`)
    return resolve(found)
  }
  return z.fromJSONSchema(resolve(schema) as Parameters<typeof z.fromJSONSchema>[0])
}

export const errorsOf = (schema: z.ZodType, value: unknown) => schema.safeParse(value).error?.issues ?? []

export const successOf = ({ documented, status }: TestedOperation) => documented.responses[status]?.content?.['application/json']
export const bodyOf = ({ documented }: TestedOperation) => documented.requestBody?.content['application/json']
