// A CI provider's issuer of tokens on loopback: a discovery document, keys, and tokens as GitHub and GitLab write them.
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

export type Claims = Record<string, unknown>

export interface Issuer {
  url: string
  /** The paths that it was asked for. */
  asked: string[]
  /** Answers in its place when it is set. */
  answer: ((path: string, response: ServerResponse) => boolean) | undefined
  /** Public halves of its keys. */
  keys: JWK[]
  /** Makes another key, which signs from now on. */
  rotate(): Promise<void>
  /** A token that is good now, unless `claims` say otherwise; a claim of undefined is left out. */
  sign(claims: Claims): Promise<string>
  close(): Promise<void>
}

export async function startIssuer(algorithm: 'ES256' | 'RS256' = 'ES256'): Promise<Issuer> {
  let signer: { key: CryptoKey; kid: string } | undefined
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    issuer.asked.push(path)
    if (issuer.answer?.(path, response)) return
    const document = { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` }
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify(path === '/keys' ? { keys: issuer.keys } : document))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer: Issuer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    answer: undefined,
    keys: [],
    rotate: async () => {
      const { privateKey, publicKey } = await generateKeyPair(algorithm)
      signer = { key: privateKey, kid: `key-${issuer.keys.length + 1}` }
      issuer.keys.push({ ...(await exportJWK(publicKey)), alg: algorithm, use: 'sig', kid: signer.kid })
    },
    sign: async (claims) => {
      if (!signer) throw new Error('no key')
      const now = Math.floor(Date.now() / 1_000)
      const all = { iss: issuer.url, jti: crypto.randomUUID(), iat: now, nbf: now - 60, exp: now + 300, ...claims }
      const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
      return new SignJWT(given).setProtectedHeader({ alg: algorithm, kid: signer.kid, typ: 'JWT' }).sign(signer.key)
    },
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  await issuer.rotate()
  return issuer
}

export const audience = 'https://mate.example.com'

/** As docs.github.com has it: OpenID Connect reference. */
export const githubClaims = (more: Claims = {}): Claims => ({
  sub: 'repo:acme/app:ref:refs/heads/main',
  aud: audience,
  repository: 'acme/app',
  repository_id: '74',
  repository_owner: 'acme',
  repository_visibility: 'private',
  ref: 'refs/heads/main',
  ref_type: 'branch',
  sha: 'f8ab4a2bd1c2f9d0b9e4e8f7a6c5d4e3f2a1b0c9',
  environment: 'production',
  event_name: 'push',
  workflow: 'nightly',
  run_id: '4711',
  run_attempt: '1',
  actor: 'ada',
  ...more,
})

/** As docs.gitlab.com has it: ID token authentication. */
export const gitlabClaims = (more: Claims = {}): Claims => ({
  sub: 'project_path:acme/apps/web:ref_type:branch:ref:main',
  aud: audience,
  project_path: 'acme/apps/web',
  project_id: '22',
  namespace_path: 'acme/apps',
  ref: 'main',
  ref_type: 'branch',
  ref_protected: 'true',
  sha: '714a629c0b401fdce83e847fc9589983fc6f46bc',
  pipeline_source: 'push',
  pipeline_id: '1212',
  job_id: '1337',
  user_login: 'ada',
  ...more,
})
