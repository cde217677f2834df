// The REST route table, compiled once from the metadata: which operation a method and path mean, and how its parameters read.
import { TRPCError } from '@trpc/server'
import { z } from 'zod'
import { listOperations, type Operation } from './operations.ts'
import { AllowedMethods, badField } from './problem.ts'

type Scalar = 'string' | 'number' | 'boolean'

export interface Route {
  operation: Operation
  /** Names of the path's parameters by their place, undefined where the path is literal. */
  parameters: (string | undefined)[]
  /** How each query parameter reads; for methods with a body there are none. */
  query: Map<string, { type: Scalar; isList: boolean }>
  takesBody: boolean
}

interface Node {
  literal: Map<string, Node>
  parameter?: Node
  methods: Map<string, Route>
}

const newNode = (): Node => ({ literal: new Map(), methods: new Map() })

let root: Node | undefined

function getRoot(): Node {
  if (root) return root
  root = newNode()
  for (const operation of listOperations()) {
    const parts = operation.meta.openapi.path.slice(1).split('/')
    const parameters = parts.map((part) => /^\{(.+)\}$/.exec(part)?.[1])
    let node = root
    for (const [i, part] of parts.entries()) {
      if (parameters[i] === undefined) {
        const next = node.literal.get(part) ?? newNode()
        node.literal.set(part, next)
        node = next
      } else {
        node.parameter ??= newNode()
        node = node.parameter
      }
    }
    node.methods.set(operation.meta.openapi.method, compile(operation, parameters))
  }
  return root
}

function compile(operation: Operation, parameters: (string | undefined)[]): Route {
  const { method } = operation.meta.openapi
  const takesBody = method === 'POST' || method === 'PUT' || method === 'PATCH'
  const query: Route['query'] = new Map()
  if (!takesBody) {
    for (const [name, schema] of Object.entries(inputProperties(operation.input))) {
      if (parameters.includes(name)) continue
      const isList = schema.type === 'array'
      query.set(name, { isList, type: scalarOf(isList ? schema.items : schema) })
    }
  }
  return { operation, parameters, query, takesBody }
}

interface JsonSchema {
  type?: string
  items?: JsonSchema
  properties?: Record<string, JsonSchema>
}

function inputProperties(input: z.ZodObject): Record<string, JsonSchema> {
  return (z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' }) as JsonSchema).properties ?? {}
}

function scalarOf(schema: JsonSchema | undefined): Scalar {
  if (schema?.type === 'integer' || schema?.type === 'number') return 'number'
  return schema?.type === 'boolean' ? 'boolean' : 'string'
}

/**
 * Finds what a method and a path below /api mean; literal segments go before parameters, and both have case.
 * @throws TRPCError NOT_FOUND; METHOD_NOT_SUPPORTED, its cause an AllowedMethods; BAD_REQUEST for a broken escape.
 */
export function matchRoute(method: string, path: string): { route: Route; values: Record<string, string> } {
  const parts = path.slice(1).split('/').map(decodeSegment)
  let node: Node | undefined = getRoot()
  for (const part of parts) node = node?.literal.get(part) ?? (part === '' ? undefined : node?.parameter)
  if (!node || node.methods.size === 0)
    throw new TRPCError({ code: 'NOT_FOUND', message: 'There is nothing at this path. /openapi/v1.json lists what there is.' })
  const route = node.methods.get(method === 'HEAD' ? 'GET' : method)
  if (!route)
    throw new TRPCError({
      code: 'METHOD_NOT_SUPPORTED',
      message: 'This path does not take this method.',
      cause: new AllowedMethods([...node.methods.keys()]),
    })
  const values: Record<string, string> = Object.create(null)
  for (const [i, name] of route.parameters.entries()) if (name !== undefined) values[name] = parts[i] ?? ''
  return { route, values }
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch (cause) {
    throw new TRPCError({ code: 'BAD_REQUEST', message: 'The path has a broken percent-escape.', cause })
  }
}

/**
 * Reads the query string: every parameter as its schema's type, from the text alone. What does not read as the type stays
 * text, for the schema to refuse.
 */
export function readQuery(route: Route, search: string): Record<string, unknown> {
  const input: Record<string, unknown> = Object.create(null)
  if (search === '') return input
  if (/%(?![0-9a-f]{2})/i.test(search))
    throw new TRPCError({ code: 'BAD_REQUEST', message: 'The query has a broken percent-escape.' })
  const given = new URLSearchParams(search)
  for (const name of new Set(given.keys())) {
    const how = route.query.get(name)
    if (!how) throw badField(name, 'Is not a parameter of this operation.')
    const values = given.getAll(name)
    if (values.some((value) => value.includes('\ufffd'))) throw badField(name, 'Must be valid UTF-8.')
    if (how.isList) input[name] = values.map((value) => readScalar(value, how.type))
    else if (values.length === 1) input[name] = readScalar(values[0] ?? '', how.type)
    else throw badField(name, 'Must be given once.')
  }
  return input
}

function readScalar(text: string, type: Scalar): unknown {
  if (type === 'number') return /^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?$/.test(text) ? Number(text) : text
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  return text
}
