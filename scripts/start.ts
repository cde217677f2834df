// npm start, and npm run worker: builds what is not built, then runs the server, or a worker, in this process.
import { build } from './build.ts'
import { isBuilt } from './source-hash.ts'

if (!isBuilt()) {
  process.stdout.write('Building (once; the next start takes a second) …\n')
  build()
}
const { main, work } = await import(new URL('../build/server/index.js', import.meta.url).href)
await (process.argv[2] === 'worker' ? work() : main())
