import { index, layout, type RouteConfig, route } from '@react-router/dev/routes'

export default [
  route('sign-in', 'routes/sign-in.tsx'),
  route('sign-out', 'routes/sign-out.ts'),
  route('setup', 'routes/setup.tsx'),
  route('theme', 'routes/theme.ts'),
  layout('routes/signed-in.tsx', [
    index('routes/home.tsx'),
    route('api-keys', 'routes/api-keys.tsx'),
    route('api-keys/new', 'routes/api-key-new.tsx'),
    route('api-keys/:id', 'routes/api-key.tsx'),
    route('api-keys/:id/revoke', 'routes/api-key-revoke.tsx'),
    route('api-keys/:id/delete', 'routes/api-key-delete.tsx'),
    route('audit-log', 'routes/audit-log.tsx'),
  ]),
  route('*', 'routes/not-found.tsx'),
] satisfies RouteConfig
