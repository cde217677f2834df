// npm run openapi: writes docs/openapi.json from the router.
import { writeFileSync } from 'node:fs'
import { createOpenApiDocument } from '#server/openapi.ts'

writeFileSync('docs/openapi.json', `${JSON.stringify(createOpenApiDocument(), null, 2)}\n`)
