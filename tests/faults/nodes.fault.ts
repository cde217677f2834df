// Three nodes on one PostgreSQL: a rolling restart under load fails no request.
import { afterEach, expect, test } from 'vitest'
import { type ChildServer, sleep, startChildServer, waitUntil } from '../child-server.ts'
import { createTestDatabase } from '../harness.ts'
import { seedForLoad, startLoad, verifyLoad } from './load.ts'
import { count, report } from './scale.ts'

const restarts = count(60, 3)
const nodes = 3

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

test(`rolling restart of ${nodes} nodes under load, ${restarts} restarts: no failed request`, {
  timeout: 3_600_000,
}, async () => {
  const { database, url = '' } = await createTestDatabase()
  cleanups.push(() => database.close())
  const seeded = await seedForLoad(database)
  // As a deployment does: not ready first, and the stop once the balancer has looked away.
  const settings = { DATABASE_URL: url, MATE_DB_CONNECTIONS: '10', MATE_DRAIN_SECONDS: '0.5' }
  const ready = new Set<ChildServer>()
  const start = async () => {
    const node = await startChildServer(settings)
    cleanups.push(() => node.kill('SIGKILL'))
    ready.add(node)
    return node
  }
  const running = await Promise.all(Array.from({ length: nodes }, start))

  // A balancer in three lines: it asks each node every 100 ms whether it is ready.
  const balancing = setInterval(() => {
    for (const node of running)
      node.request('/health/ready').then(
        ({ status }) => (status === 200 ? ready.add(node) : ready.delete(node)),
        () => ready.delete(node),
      )
  }, 100)
  cleanups.push(() => clearInterval(balancing))
  let turn = 0
  const pick = () => {
    const among = [...ready]
    return among[turn++ % among.length] as ChildServer
  }

  const load = startLoad(pick, seeded, 6)
  for (let i = 0; i < restarts; i++) {
    const node = running[i % nodes] as ChildServer
    expect(await node.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    ready.delete(node)
    running[i % nodes] = await start()
    await waitUntil(async () => ready.size === nodes)
    await sleep(50)
  }
  await load.stop()

  const { rows } = await verifyLoad(url, seeded, load)
  expect(load.answers.filter(({ status }) => ![200, 201, 401].includes(status))).toEqual([])
  expect(load.acknowledged.length).toBe(rows)
  expect(rows).toBeGreaterThan(restarts * 10)
  report(
    `Rolling restart of ${nodes} nodes, ${restarts} restarts`,
    `${load.answers.length} requests, none failed; ${rows} writes acknowledged, ${rows} rows, each with its entry`,
  )
})
