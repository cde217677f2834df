// What `mate` does from anywhere: the commands that ask a server or nobody, and open no database.
import { runAudit } from './audit.ts'
import { runCommand } from './run.ts'
import { runScan } from './scan.ts'

const help = `mate – test runs, from the command line

  npx mate run --suite SUITE --agent AGENT     runs a suite, and exits with its verdict; npx mate run --help
  npx mate scan PATH…                          finds API keys of mate in files; npx mate scan --help
  npx mate audit verify FILE                   checks an export of the audit log, with no server
`

const commands: Record<string, (args: string[]) => Promise<number>> = {
  run: (args) => runCommand(args),
  scan: (args) => runScan(args),
  audit: async (args) => {
    const { code, stdout, stderr } = await runAudit(args)
    process.stderr.write(stderr)
    process.stdout.write(stdout)
    return code
  },
}

/** The command of this name; undefined when it is none of these. */
export function findCommand(name: string | undefined): ((args: string[]) => Promise<number>) | undefined {
  return name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined
}

/** Runs what the arguments say. Never throws. @returns the exit status. */
export async function main([name, ...args]: string[]): Promise<number> {
  const command = findCommand(name)
  if (command) return command(args)
  const isAsked = name === 'help' || name === '--help' || name === '-h'
  if (isAsked) process.stdout.write(help)
  else process.stderr.write(`${name === undefined ? '' : `There is no command “${name}”.\n`}${help}`)
  return isAsked ? 0 : 2
}
