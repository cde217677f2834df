// Runs wrk against one server for a bounded time and reads what it measured.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Request {
  path: string
  method?: string
  headers?: Record<string, string>
  body?: string
  /** Keys to take turns with, in X-API-Key. */
  keys?: readonly string[]
}

export interface Measured {
  perSecond: number
  p50Ms: number
  p99Ms: number
  /** Answers that were neither 2xx nor 3xx. */
  refused: number
  /** Connections and requests that failed or timed out. */
  failed: number
}

/** Loads `url` for `seconds` from one thread, on `core` when taskset is there. Loopback only. */
export async function load(
  url: string,
  request: Request,
  options: { seconds: number; connections: number; core: number },
): Promise<Measured> {
  const { hostname } = new URL(url)
  if (hostname !== '127.0.0.1' && hostname !== 'localhost') throw new Error('The load goes to loopback only.')
  const folder = mkdtempSync(join(tmpdir(), 'mate-load-'))
  try {
    const script = join(folder, 'load.lua')
    writeFileSync(script, luaOf(request))
    const wrk = [
      'wrk',
      '-t1',
      `-c${options.connections}`,
      `-d${options.seconds}s`,
      '--latency',
      '--timeout',
      '10s',
      '-s',
      script,
      url + request.path,
    ]
    const output = await run('taskset', ['-c', String(options.core), ...wrk])
    const line = output.split('\n').find((each) => each.startsWith('{'))
    if (!line) throw new Error(`wrk printed no result:\n${output}`)
    return JSON.parse(line) as Measured
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function luaOf({ method = 'GET', headers = {}, body, keys = [] }: Request): string {
  const quote = (text: string) => JSON.stringify(text)
  const headerLines = Object.entries(headers).map(([name, value]) => `wrk.headers[${quote(name)}] = ${quote(value)}`)
  return `
wrk.method = ${quote(method)}
${headerLines.join('\n')}
local body = ${body === undefined ? 'nil' : quote(body)}
local keys = { ${keys.map(quote).join(', ')} }
local count = 0
request = function()
  count = count + 1
  if #keys > 0 then wrk.headers["X-API-Key"] = keys[count % #keys + 1] end
  local text = body
  if text then text = string.gsub(text, "{n}", tostring(count) .. "-" .. tostring(os.time())) end
  return wrk.format(nil, nil, nil, text)
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('{"perSecond":%f,"p50Ms":%f,"p99Ms":%f,"refused":%d,"failed":%d}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.status, e.connect + e.read + e.write + e.timeout))
end
`
}

function run(command: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    child.on('error', reject)
    child.on('close', (code) => (code === 0 ? resolve(output) : reject(new Error(`${command} exited with ${code}`))))
  })
}
