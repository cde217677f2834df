// The lock on an embedded database's folder, with processes that ask for it at the same moment.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { makeFolder } from './child-server.ts'

/** For each line, a folder and a moment, it says whether it got the lock; the next line has it let go. */
const contender = `
  import { createInterface } from 'node:readline'
  import { lockFolder } from ${JSON.stringify(new URL('../db/folder-lock.ts', import.meta.url).href)}
  let unlock = () => {}
  console.log('ready')
  for await (const line of createInterface({ input: process.stdin })) {
    unlock()
    unlock = () => {}
    const [folder, moment] = JSON.parse(line)
    while (Date.now() < moment);
    try {
      unlock = lockFolder(folder)
      console.log('locked')
    } catch (error) {
      console.log(error.message)
    }
  }`

type Contender = ChildProcessByStdio<Writable, Readable, null>

const nextLine = async (child: Contender) => String((await once(child.stdout, 'data'))[0]).trim()

test.each([2, 4])('of %i processes that ask at once, exactly one gets it, and the others are told', async (count) => {
  const children = Array.from({ length: count }, () =>
    spawn(process.execPath, ['--input-type=module', '--eval', contender], { stdio: ['pipe', 'pipe', 'inherit'] }),
  )
  onTestFinished(async () => {
    const exits = children.map((child) => once(child, 'exit'))
    for (const child of children) child.stdin.end()
    await Promise.all(exits)
  })
  await Promise.all(children.map(nextLine))
  for (let round = 0; round < 6; round++) {
    const line = `${JSON.stringify([makeFolder(), Date.now() + 50])}\n` // by then all of them have read it
    const said = children.map(nextLine)
    for (const child of children) child.stdin.write(line)
    const answers = await Promise.all(said)
    expect(answers.filter((answer) => answer === 'locked')).toHaveLength(1)
    expect(answers.filter((answer) => answer.startsWith('Another process uses the database in'))).toHaveLength(count - 1)
  }
})
