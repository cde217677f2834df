import type { Config } from '@react-router/dev/config'

export default {
  appDirectory: 'app',
  buildDirectory: 'build',
  ssr: true,
  // The other mode asks the server for each link of a page, in one long address.
  routeDiscovery: { mode: 'initial' },
} satisfies Config
