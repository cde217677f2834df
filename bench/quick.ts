import { load } from './load.ts'
import { seed } from './seed.ts'
import { startSubject } from './subjects.ts'
const url='postgres://postgres@127.0.0.1:5432/mate_bench'
const s=await seed(url)
const env={DATABASE_URL:url,PORT:'0',HOST:'127.0.0.1'}
const prof=process.argv[2]==='prof'
const subj={a:await startSubject('bench/floors.ts',['a'],env,0),b:await startSubject('bench/floors.ts',['b'],env,0),c:await startSubject('bench/floors.ts',['c'],env,0),ours:await startSubject('build/server/index.js',[],env,0)}
const rows:Record<string,number[]>={}
const trpc='/trpc/agents.list?input=%7B%7D'
for(let r=0;r<5;r++){
 for(const [n,u,req] of [['a',subj.a,{path:'/api/agents',keys:s.keys}],['b',subj.b,{path:'/api/agents',keys:s.keys}],['c',subj.c,{path:'/api/agents',keys:s.keys}],['ours',subj.ours,{path:'/api/agents',keys:s.keys}],['trpc',subj.ours,{path:trpc,keys:s.keys}],['me',subj.ours,{path:'/api/me',keys:s.keys}],['bad',subj.ours,{path:'/api/agents',headers:{'x-api-key':'mate_x'}}],['live',subj.ours,{path:'/health/live'}],['write',subj.ours,{path:'/api/agents',method:'POST',headers:{'x-api-key':s.adminKey,'content-type':'application/json'},body:'{"name":"a{n}","environment":"test","connector":{"type":"http","url":"https://a.example.com"}}'}]] as const){
  if(n==='write'&&r>1) continue
  const m=await load(u.url,req as never,{seconds:2,connections:32,core:1}); (rows[n]??=[]).push(Math.round(m.perSecond)); if(m.failed||(m.refused&&n!=='bad')) console.log(n,m)
  if(n==='write'){const {default:pg}=await import('postgres');const q=pg(url,{max:1});await q`delete from agents where name like 'a%-%' and name not like 'agent-%'`;await q.end()}
 }}
const med=(x:number[])=>x.sort((p,q)=>p-q)[x.length>>1]!
for(const n in rows) console.log(n.padEnd(6),med(rows[n]!),'c:',(med(rows[n]!)/med(rows.c!)).toFixed(3),'a:',(med(rows[n]!)/med(rows.a!)).toFixed(3))
for(const x of Object.values(subj)) await x.stop()
process.exit()
