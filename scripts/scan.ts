// npm run scan: `mate scan`, with paths as they are meant where npm was called.
import { runScan } from '../cli/scan.ts'

// npm runs scripts in the package's folder.
process.exitCode = await runScan(process.argv.slice(2), process.env.INIT_CWD)
