// Scalar, the interactive documentation, from our own origin: no CDN, no font, no telemetry.
import { createReadStream, existsSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'

/** The script's path on this server. */
export const scalarScriptPath = '/scalar/v1/standalone.js'

const configuration = {
  url: '/openapi/v1.json',
  withDefaultFonts: false,
  telemetry: false,
  hideClientButton: true,
  agent: { disabled: true },
  mcp: { disabled: true },
  showDeveloperTools: 'never',
  persistAuth: false,
  documentDownloadType: 'json',
  metaData: { title: 'mate API' },
}

export function scalarPage(nonce: string): string {
  // The configuration holds no user input; `<` is escaped all the same, since it stands in a script.
  const json = JSON.stringify(configuration).replaceAll('<', '\\u003c')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>mate API</title>
<link rel="icon" href="/favicon.svg" type="image/svg+xml">
<meta name="viewport" content="width=device-width, initial-scale=1">
</head>
<body>
<noscript>This page needs JavaScript. The document itself is at <a href="/openapi/v1.json">/openapi/v1.json</a>.</noscript>
<div id="app"></div>
<script src="${scalarScriptPath}" nonce="${nonce}"></script>
<script nonce="${nonce}">Scalar.createApiReference('#app', ${json})</script>
</body>
</html>`
}

/**
 * Scripts by nonce, requests to this origin only. Styles are Scalar's own, injected in more places than it gives a nonce
 * to: this page alone allows them, and it shows nothing but the public document.
 */
export function scalarPolicy(nonce: string): string {
  return `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
}

const unbuilt = fileURLToPath(new URL('../node_modules/@scalar/api-reference/dist/browser/standalone.js', import.meta.url))

/** Where the build put the script, precompressed; before a build, where npm put it. */
export function sendScalarScript(response: ServerResponse, assetsDir: string | undefined, acceptEncoding: string): void {
  const built = assetsDir && `${assetsDir}/../scalar/standalone.js`
  const headers = { 'Content-Type': 'text/javascript', 'Cache-Control': 'public, max-age=3600' }
  for (const [encoding, extension] of [
    ['br', '.br'],
    ['gzip', '.gz'],
  ] as const) {
    if (!built || !acceptEncoding.includes(encoding) || !existsSync(built + extension)) continue
    response.writeHead(200, { ...headers, 'Content-Encoding': encoding, Vary: 'Accept-Encoding' })
    createReadStream(built + extension).pipe(response)
    return
  }
  const plain = built && existsSync(built) ? built : unbuilt
  response.writeHead(200, headers)
  createReadStream(plain).pipe(response)
}
