import { reactRouter } from '@react-router/dev/vite'
import tailwindcss from '@tailwindcss/vite'
import { defineConfig } from 'vite'
import { mendPostgres } from './scripts/mend-postgres.ts'

export default defineConfig({
  plugins: [tailwindcss(), reactRouter(), mendPostgres()],
  build: { sourcemap: false, assetsInlineLimit: 0 },
  environments: {
    ssr: {
      build: { rollupOptions: { input: './server/main.ts' } },
      // One bundle starts in a third of the time. PGlite finds its WebAssembly beside its own file, so it stays outside.
      resolve: {
        noExternal: true,
        external: ['@electric-sql/pglite'],
        // Without 'node' better-auth hashes passwords in JavaScript: ten times slower, on the thread that serves requests.
        conditions: ['node', 'module', 'development|production'],
      },
    },
  },
})
