// A fuzzer from our own document: every operation by every door, with input that fits its schema and input that does not.
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { type Answer, callRest, callTrpc, type Input, openPageDoor, thaw, validInput } from '../doors.ts'
import { type SeededKey, type SeededUser, seedKey, seedTenant, seedUser, useServer } from '../harness.ts'
import {
  bodyOf,
  documentedOperations,
  errorsOf,
  type JsonSchema,
  successOf,
  type TestedOperation,
  zodOf,
} from '../openapi-document.ts'
import { spoiltOf, validOf } from './arbitraries.ts'
import { count, isFull, report } from './scale.ts'

/** Of each operation at each door. */
const requests = count(1_000, 40)
const ruled = [
  ...['agents.create', 'agents.update', 'agents.replaceConnector', 'judgeSettings.create', 'judgeSettings.update'],
  ...['trustRules.create', 'trustRules.update'],
  // What the body names has to be there.
  ...['agents.testConnection', 'runs.create'],
  // A person is deactivated before they are removed, and is given a role that is one.
  ...['users.delete', 'invitations.create'],
  ...['signInPolicy.update'],
]
/** Those whose other fields are about what is there as well: nothing that is left of the given ones would be right. */
const wholly = ['users.update', 'users.deactivate', 'identityProviders.create', 'identityProviders.update', 'auditLog.list']
const server = useServer({ MATE_LEAK_REPORTS: '1000000', MATE_TOKEN_EXCHANGES: '1000000' })

/** Path and query parameters and body as one object, as every door takes them. */
function inputSchemaOf(operation: TestedOperation): JsonSchema {
  const body = (bodyOf(operation)?.schema ?? {}) as { properties?: object; required?: string[] }
  const { parameters } = operation.documented
  const isInput = parameters.filter(({ in: where }) => where === 'path' || where === 'query')
  return {
    type: 'object',
    properties: { ...Object.fromEntries(isInput.map(({ name, schema }) => [name, schema])), ...body.properties },
    required: [...isInput.flatMap(({ name, required }) => (required ? [name] : [])), ...(body.required ?? [])],
  }
}

type Door = 'rest' | 'trpc' | 'page'
interface Caller {
  key: SeededKey
  user: SeededUser
}
type CallDoor = (operation: TestedOperation, input: Input, caller: Caller) => Promise<Answer>

async function openDoor(door: Door): Promise<CallDoor> {
  if (door === 'rest') return (operation, input, { key }) => callRest(server, operation, input, { key: key.key })
  if (door === 'trpc') return (operation, input, { key }) => callTrpc(server, operation, input, { key: key.key })
  const page = await openPageDoor(server)
  return (operation, input, { user }) => page(operation, input, user.cookie)
}

const problemSchema = zodOf({ $ref: '#/components/schemas/Problem' })
const leak = /select .+ from|insert into|update .+ set|delete from|node_modules|\bat .+:\d+:\d+|params:|pg_catalog|drizzle/i

/** What is wrong with an answer, in words; nothing when it is as the document says. */
function faultsOf({ documented, status }: TestedOperation, success: z.ZodType | undefined, door: Door, answer: Answer): string[] {
  const isRefusal = answer.status >= 400
  const expected = isRefusal ? problemSchema : success
  const value = isRefusal ? answer.problem : answer.output
  return [
    ...(answer.status >= 500 ? [`it is ${answer.status}`] : []),
    ...(isRefusal && leak.test(answer.problem.detail ?? '') ? ['it tells something internal'] : []),
    // Of a status the document speaks for REST alone: tRPC answers success with 200, and so does the page's caller.
    ...(isRefusal && !documented.responses[answer.status] ? [`${answer.status} is not documented`] : []),
    ...(!isRefusal && door === 'rest' && answer.status !== status ? [`success is ${answer.status}, not ${status}`] : []),
    ...(isRefusal && door === 'rest' && answer.headers.get('content-type') !== 'application/problem+json' ? ['no problem'] : []),
    ...(expected ? errorsOf(expected, value).map(({ path, message }) => `${path.join('.')}: ${message}`) : []),
  ]
}

describe.each<Door>(['rest', 'trpc', 'page'])('%s: no 5xx, answers and problems conform to the document', (door) => {
  const ofDoor: Record<string, number> = {}
  afterAll(() => {
    const seen = Object.entries(ofDoor).map(([status, n]) => `${n} × ${status}`)
    report(`Fuzzer: ${documentedOperations.length} operations by ${door}, ${requests} requests each`, seen.join(', '))
  })

  test.each(documentedOperations.map((operation) => [operation.name, operation] as const))(
    `%s, ${requests} requests`,
    {
      timeout: 1_200_000,
    },
    async (name, operation) => {
      const tenant = await seedTenant(server)
      const callers = await Promise.all(
        (['TenantAdmin', 'TenantAdmin', 'SuperAdmin', 'Viewer'] as const).map(async (role) => ({
          key: await seedKey(server, tenant.id, role),
          user: await seedUser(server, tenant.id, role),
        })),
      )
      const call = await openDoor(door)
      const success = successOf(operation)
      const successSchema = success && zodOf(success.schema)
      const schema = inputSchemaOf(operation)
      const inPath = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, parameter = '']) => parameter)
      const seedRow = async () => {
        const valid = await validInput(server, operation, tenant.id)
        return Object.fromEntries(inPath.map((parameter) => [parameter, valid[parameter]]))
      }
      const statuses: Record<number, number> = {}
      const input = fc.oneof({ weight: 1, arbitrary: validOf(schema) }, { weight: 1, arbitrary: spoiltOf(schema) })
      const ask = async (given: Input, caller: Caller) => {
        // Else the first that freezes is the last that is let in.
        if (name === 'apiKeys.freeze') await thaw(server)
        const answer = await call(operation, given, caller)
        statuses[answer.status] = (statuses[answer.status] ?? 0) + 1
        expect(faultsOf(operation, successSchema, door, answer)).toEqual([])
      }
      // Several at once, as a server has to stand it; what is open to anyone answers after a fixed time.
      const isPublic = operation.meta.role === 'Public'
      const streams = isPublic ? 20 : 4
      const isWhole = wholly.includes(operation.name)
      const property = fc.asyncProperty(
        input as fc.Arbitrary<Input>,
        fc.constantFrom(...callers),
        fc.integer({ min: 0, max: 3 }),
        async (given, caller, hit) => {
          // A random id is nobody's: half of the calls are about a row that is there.
          const row = inPath.length > 0 && hit > 1 ? await seedRow() : {}
          // Rules between fields stand in no schema: a quarter of these calls keep them, and vary the rest.
          const isKept = hit === 3 && (isWhole || ruled.includes(operation.name))
          const kept = isKept ? await validInput(server, operation, tenant.id) : {}
          await ask(isKept && isWhole ? kept : { ...given, ...row, ...kept }, caller)
        },
      )
      // One that is good to begin with: what is refused all the same, few requests find by chance.
      for (const caller of isPublic ? [] : callers) await ask(await validInput(server, operation, tenant.id), caller)
      await Promise.all(Array.from({ length: streams }, () => fc.assert(property, { numRuns: Math.ceil(requests / streams) })))
      // It was more than a row of refusals. No token comes by chance.
      const good = Object.entries(statuses).reduce((sum, [status, n]) => sum + (Number(status) < 300 ? n : 0), 0)
      if (name !== 'tokens.exchange') expect(good).toBeGreaterThan(isFull ? callers.length : 0)
      for (const [status, n] of Object.entries(statuses)) ofDoor[status] = (ofDoor[status] ?? 0) + n
    },
  )
})
