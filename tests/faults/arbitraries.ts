// JSON Schema, as far as our document uses it, as fast-check arbitraries: what fits a schema, and what tries to break it.
import fc from 'fast-check'
import { document, type JsonSchema } from '../openapi-document.ts'

/** Text that has broken programs before: controls, NUL, lone surrogates, quotes, SQL, paths, prototypes, very long. */
const nastyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.constantFrom(
    '',
    ' ',
    '\0',
    '\ud800',
    '\ufeff',
    '__proto__',
    'constructor',
    "'; drop table api_keys; --",
    '../../etc/passwd',
    '%00',
    '%',
    '_',
    '{{7*7}}',
    '=1+1',
    'null',
    '1e309',
    '-0',
    '2026-02-30T00:00:00Z',
    '9999-12-31T23:59:59.999Z',
    '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
  ),
  // No longer: three of these in one URL still fit what node:http reads of a head. Longer text is for the floods.
  fc.constantFrom(10, 100, 400).map((size) => 'ä'.repeat(size)),
)

const nastyValue = fc.oneof(
  nastyText,
  fc.constantFrom(null, true, [], {}, [[]], 0, -1, 1e308, 2 ** 53, 1.5, [null], { toString: 1 }),
  fc.jsonValue({ maxDepth: 3 }),
)

function resolve(schema: JsonSchema): JsonSchema {
  const { $ref } = schema as { $ref?: string }
  if ($ref === undefined) return schema
  const found = document.components.schemas[$ref.replace('#/components/schemas/', '')]
  if (!found) throw new Error(`${$ref} leads nowhere`)
  return found
}

/** Values that the schema allows. @throws Error at a keyword that nobody has taught it. */
export function validOf(given: JsonSchema): fc.Arbitrary<unknown> {
  const schema = resolve(given) as JsonSchema & Keywords
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  const oneOf = schema.anyOf ?? schema.oneOf
  if (oneOf) return fc.oneof(...oneOf.map(validOf))
  if (Array.isArray(schema.type)) return fc.oneof(...schema.type.map((type) => validOf({ ...schema, type })))
  switch (schema.type) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'integer':
      return fc.integer({ min: schema.minimum ?? -1_000, max: schema.maximum ?? 1_000 })
    case 'number':
      return fc.double({ min: schema.minimum ?? -1e6, max: schema.maximum ?? 1e6, noNaN: true })
    case 'string':
      return textOf(schema)
    case 'array':
      return fc.array(validOf(schema.items ?? {}), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 5, 8),
      })
    case 'object':
      return objectOf(schema)
    case undefined:
      return fc.jsonValue({ maxDepth: 2 })
    default:
      throw new Error(`tests/faults/arbitraries.ts does not know the type ${schema.type}.`)
  }
}

interface Keywords {
  type?: string | string[]
  const?: unknown
  enum?: unknown[]
  anyOf?: JsonSchema[]
  oneOf?: JsonSchema[]
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  minItems?: number
  maxItems?: number
  items?: JsonSchema
  format?: string
  pattern?: string
  properties?: Record<string, JsonSchema>
  propertyNames?: Keywords
  additionalProperties?: JsonSchema | false
  required?: string[]
}

function textOf({ format, pattern, minLength = 0, maxLength = 40 }: Keywords): fc.Arbitrary<string> {
  if (format === 'uuid') return fc.uuid()
  if (format === 'uri') return fc.webUrl({ withQueryParameters: true, withFragments: true })
  if (format === 'date-time') {
    const from = new Date('1970-01-01T00:00:00Z')
    return fc.date({ min: from, max: new Date('2200-01-01T00:00:00Z'), noInvalidDate: true }).map((date) => date.toISOString())
  }
  if (pattern) return fc.stringMatching(new RegExp(pattern, 'u')).filter((text) => text.length <= maxLength * 10)
  return fc.string({ minLength, maxLength: Math.min(maxLength, 60), unit: 'grapheme' })
}

function objectOf({ properties, required = [], propertyNames, additionalProperties }: Keywords): fc.Arbitrary<object> {
  if (!properties && additionalProperties) {
    return fc.dictionary(textOf(propertyNames ?? {}), validOf(additionalProperties), { maxKeys: 5 })
  }
  const model = Object.fromEntries(Object.entries(properties ?? {}).map(([name, schema]) => [name, validOf(schema)]))
  return fc.record(model, { requiredKeys: required })
}

/** An object of the schema with one to three of its fields spoilt, left out, or added. */
export function spoiltOf(schema: JsonSchema): fc.Arbitrary<Record<string, unknown>> {
  const names = Object.keys((resolve(schema) as Keywords).properties ?? {})
  const name = names.length > 0 ? fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...names) }, nastyText) : nastyText
  const edit = fc.record({ name, value: nastyValue, isLeftOut: fc.boolean() })
  return fc.tuple(validOf(schema), fc.array(edit, { minLength: 1, maxLength: 3 })).map(([value, edits]) => {
    const spoilt = { ...(value as Record<string, unknown>) }
    for (const { name, value, isLeftOut } of edits) {
      if (isLeftOut) delete spoilt[name]
      else Object.defineProperty(spoilt, name, { value, enumerable: true, writable: true, configurable: true })
    }
    return spoilt
  })
}
