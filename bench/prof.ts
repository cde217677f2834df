import { load } from './load.ts'
import { seed } from './seed.ts'
import { startSubject } from './subjects.ts'
const url='postgres://postgres@127.0.0.1:5432/mate_bench'
const s=await seed(url)
const env={DATABASE_URL:url,PORT:'0',HOST:'127.0.0.1'}
const u=await startSubject('--cpu-prof',['--cpu-prof-dir=/tmp/prof','build/server/index.js'],env,0)
const bad=process.argv[2]==='bad'
for(let i=0;i<2;i++) console.log(await load(u.url,bad?{path:'/api/agents',headers:{'x-api-key':'mate_x'}}:{path:'/api/agents',keys:s.keys},{seconds:4,connections:32,core:1}))
await u.stop(); process.exit()
