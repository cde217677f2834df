// GET /api/agents by both doors, beside the floors and the peers.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { type Bench, besides, builtServer } from '../bench.ts'
import type { Request } from '../load.ts'
import { measure, ratio } from '../measure.ts'

const agentsOf = (keys: readonly string[]): Request => ({ path: '/api/agents', keys })

export async function reads({ folder, url, seeded, pace, report, start }: Bench): Promise<void> {
  const peerUrl = besides(url, 'mate_bench_peer')
  const admin = postgres(besides(url, 'postgres'), { max: 1, onnotice: () => {} })
  await admin.unsafe('drop database if exists mate_bench_peer with (force)')
  await admin.unsafe('create database mate_bench_peer')
  await admin.end()
  const betterAuth = async (mode: string) => {
    const file = join(folder, `${mode}.json`)
    const subject = await start('bench/peers/better-auth.ts', [mode, file], { PEER_DATABASE_URL: peerUrl })
    return { subject, request: agentsOf(JSON.parse(readFileSync(file, 'utf8'))) }
  }

  const request = agentsOf(seeded.keys)
  const ours = await start(builtServer)
  report.heading('Reads', 'GET of 10 agents, 1,000 keys in turn.')
  const seen = await measure(
    [
      { name: '(a)', subject: await start('bench/floors.ts', ['a']), request },
      { name: '(b)', subject: await start('bench/floors.ts', ['b']), request },
      { name: '(c)', subject: await start('bench/floors.ts', ['c']), request },
      { name: '**mate, REST**', subject: ours, request },
      { name: '**mate, tRPC**', subject: ours, request: { path: '/trpc/agents.list?input=%7B%7D', keys: seeded.keys } },
      { name: 'Fastify', subject: await start('bench/peers/fastify.ts'), request },
      { name: 'Fastify, writes last used', subject: await start('bench/peers/fastify.ts', ['writing']), request },
      { name: 'better-auth', ...(await betterAuth('database')) },
      { name: 'better-auth, in memory', ...(await betterAuth('memory')) },
    ],
    pace,
  )
  report.loads(seen, ['(a)', '(b)', '(c)'])
  const ofFloor = ratio(seen, '**mate, REST**', '(c)')
  report.verdict('1 authenticated REST read ≥ 0.60 of (c)', ofFloor.toFixed(2), ofFloor >= 0.6)
}
