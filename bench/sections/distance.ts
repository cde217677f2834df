// The same read on a database that is a millisecond further away, and where a pooler leaves only transactions.
import { startRelay } from '../../tests/relay.ts'
import { type Bench, builtServer } from '../bench.ts'
import { measure, middle, ratio } from '../measure.ts'

const floors = { near: '(c)', far: '(c), 1 ms away' }

export async function distance({ url, seeded, pace, report, start }: Bench): Promise<void> {
  const request = { path: '/api/agents', keys: seeded.keys }
  // All of them through a relay, so that its own cost falls on all.
  const relays = {
    near: await startRelay(url),
    far: await startRelay(url, { delayMs: 1 }),
    nearPooler: await startRelay(url, { isPooler: true }),
    farPooler: await startRelay(url, { isPooler: true, delayMs: 1 }),
  }
  const on = (relay: keyof typeof relays) => ({ DATABASE_URL: relays[relay].url })
  const rows = [
    { name: floors.near, subject: await start('bench/floors.ts', ['c'], on('near')), request },
    { name: 'mate', subject: await start(builtServer, [], on('near')), request },
    { name: 'mate, in transactions', subject: await start(builtServer, [], on('nearPooler')), request },
    { name: floors.far, subject: await start('bench/floors.ts', ['c'], on('far')), request },
    { name: 'mate, 1 ms away', subject: await start(builtServer, [], on('far')), request },
    { name: 'mate, in transactions, 1 ms away', subject: await start(builtServer, [], on('farPooler')), request },
  ]
  const seen = await measure(rows, pace)
  for (const relay of Object.values(relays)) relay.close()
  report.heading('A database further away', 'Through a relay; its timer adds a millisecond and a little to each round trip.')
  const table = rows.map(({ name }) => [
    name,
    middle(seen, name).toFixed(0),
    middle(seen, name, 'p50Ms').toFixed(1),
    middle(seen, name, 'cpuMicros').toFixed(0),
    ratio(seen, name, name.endsWith('away') ? floors.far : floors.near).toFixed(2),
  ])
  report.table(['subject', 'requests/s', 'p50 ms', 'CPU µs', '÷ (c) as far'], table)
}
