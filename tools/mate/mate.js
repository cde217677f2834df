#!/usr/bin/env node
import { findCommand } from '../../cli/main.ts'

const [name, ...args] = process.argv.slice(2)
const command = findCommand(name)
if (command) process.exitCode = await command(args)
else {
  // Loaded only when it is asked for: it brings the whole server along.
  const { main } = await import('../../scripts/mate.ts')
  await main()
}
