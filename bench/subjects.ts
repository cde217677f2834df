// The servers that are measured: each is a process of its own, on one core, on the same database.
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface Subject {
  url: string
  /** User and system time of the process so far, which a busy machine changes less than requests a second. */
  cpuSeconds(): number
  stop(): Promise<void>
}

/** Starts `node script …` on `cores`, as taskset takes them, and waits for the address that it prints. */
export async function startSubject(script: string, args: string[], env: Record<string, string>, cores: string): Promise<Subject> {
  const child = spawn('taskset', ['-c', cores, process.execPath, script, ...args], {
    env: { ...process.env, ...env, NODE_ENV: 'production' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const url = await addressOf(child)
  return {
    url,
    cpuSeconds: () => {
      // proc(5): fields 14 and 15, in hundredths; the name before them may hold spaces.
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
      return (Number(fields[11]) + Number(fields[12])) / 100
    },
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve()
        child.once('close', () => resolve())
        child.kill('SIGTERM')
      }),
  }
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = ''
    const timer = setTimeout(() => reject(new Error(`no address within 60 s: ${output}`)), 60_000)
    child.stdout?.on('data', (chunk) => {
      output += chunk
      const url = /at (http:\/\/\S+)/.exec(output)?.[1]
      if (!url) return
      clearTimeout(timer)
      resolve(url.replace('localhost', '127.0.0.1'))
    })
    child.once('close', (code) => reject(new Error(`ended with ${code} before it printed its address: ${output}`)))
  })
}
