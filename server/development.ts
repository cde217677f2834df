// The server of `npm run dev`: assets and page modules come from Vite, everything else is the same.
import type { ServerBuild } from 'react-router'
import type { ViteDevServer } from 'vite'
import { startApp } from './app.ts'
import { readEnv } from './env.ts'
import { createPageHandler } from './page-door.ts'

export async function startDevelopment(vite: ViteDevServer): Promise<void> {
  const build = async () => (await vite.ssrLoadModule('virtual:react-router/server-build')) as unknown as ServerBuild
  const app = await startApp({
    env: readEnv(),
    createPages: (auth) => {
      const pages = createPageHandler({ auth, build, mode: 'development' })
      return (request, response, origin) =>
        new Promise((resolve, reject) => {
          vite.middlewares(request, response, (error?: unknown) =>
            error ? reject(error) : pages(request, response, origin).then(resolve, reject),
          )
        })
    },
  })
  process.stdout.write(`mate is at ${app.url} (development)\n${app.setupUrl ? `  ${app.setupUrl}\n` : ''}`)
  const stop = () => app.stop().then(() => process.exit(0))
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
}
