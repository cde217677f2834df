// From the start of the process to its first answer: embedded on a folder that exists, on a new one, and on PostgreSQL.
import { cpus } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '#db/client.ts'
import { type Bench, builtServer } from '../bench.ts'
import { median } from '../measure.ts'
import { fill } from '../seed.ts'

export async function coldStart({ folder, isQuick, seeded, report, start }: Bench): Promise<void> {
  const dataDir = join(folder, 'embedded')
  const database = await openDatabase({ dataDir })
  const embedded = await fill(database)
  await database.close()
  const embeddedIn = (folder: string) => ({ MATE_DATA_DIR: folder, DATABASE_URL: '' })

  const allCores = `0-${cpus().length - 1}`
  const firstAnswer = async (env: Record<string, string>, path: string, key: string, cores?: string) => {
    const from = performance.now()
    const subject = await start(builtServer, [], env, cores)
    for (;;) {
      const { status } = await fetch(subject.url + path, { headers: { 'X-API-Key': key } })
      if (status === 200) break
    }
    const ms = performance.now() - from
    await subject.stop()
    return ms
  }
  const medianOf = async (once: (i: number) => Promise<number>) => {
    const seen: number[] = []
    for (let i = 0; i < (isQuick ? 3 : 7); i++) seen.push(await once(i))
    return median(seen) / 1_000
  }
  const existing = await medianOf(() => firstAnswer(embeddedIn(dataDir), '/api/me', embedded.adminKey))
  const onAllCores = await medianOf(() => firstAnswer(embeddedIn(dataDir), '/api/me', embedded.adminKey, allCores))
  const fresh = await medianOf((i) => firstAnswer(embeddedIn(join(folder, `fresh-${i}`)), '/health/ready', ''))
  const onPostgres = await medianOf(() => firstAnswer({}, '/api/me', seeded.adminKey))

  report.heading(
    'Cold start to the first answer',
    'Median of the starts, on one core unless said; of a new folder /health/ready, else /api/me with a key.',
  )
  report.table(
    ['database', 'seconds'],
    [
      ['embedded, a folder that exists', existing.toFixed(2)],
      [`embedded, a folder that exists, on ${cpus().length} cores`, onAllCores.toFixed(2)],
      ['embedded, a new folder', fresh.toFixed(2)],
      ['PostgreSQL', onPostgres.toFixed(2)],
    ],
  )
  const name = '5 cold start to first answer ≤ 2 s, embedded on an existing folder'
  report.verdict(`${name}, on one core`, `${existing.toFixed(2)} s`, existing <= 2)
  report.verdict(`${name}, on ${cpus().length}`, `${onAllCores.toFixed(2)} s`, onAllCores <= 2)
}
