// npm run dev: the same server, with Vite in front of the pages; a changed page reloads, a changed server file restarts nothing.
import { createServer } from 'vite'

const vite = await createServer({ server: { middlewareMode: true }, appType: 'custom' })
const { startDevelopment } = await vite.ssrLoadModule('/server/development.ts')
await startDevelopment(vite)
