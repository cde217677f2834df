CREATE TABLE "audit_chain" (
	"entry_id" bigint PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"seq" bigint NOT NULL,
	"prev_hash" "bytea" NOT NULL,
	"hash" "bytea" NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit_checkpoints" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "audit_checkpoints_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"tenant_id" uuid NOT NULL,
	"type" text NOT NULL,
	"seq" bigint NOT NULL,
	"hash" "bytea" NOT NULL,
	"at" timestamp (6) with time zone NOT NULL,
	"key_id" text NOT NULL,
	"signature" "bytea" NOT NULL,
	"is_pending" boolean NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"public_key" "bytea" NOT NULL,
	"created_at" timestamp (6) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
DROP INDEX "audit_log_tenant_entity";--> statement-breakpoint
DROP INDEX "audit_log_fold";--> statement-breakpoint
ALTER TABLE "tenants" ADD COLUMN "audit_retention_days" integer;--> statement-breakpoint
ALTER TABLE "audit_checkpoints" ADD CONSTRAINT "audit_checkpoints_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "audit_chain_tenant_seq" ON "audit_chain" USING btree ("tenant_id","seq");--> statement-breakpoint
CREATE INDEX "audit_checkpoints_tenant" ON "audit_checkpoints" USING btree ("tenant_id","type","id");--> statement-breakpoint
CREATE INDEX "audit_checkpoints_pending" ON "audit_checkpoints" USING btree ("id") WHERE is_pending;--> statement-breakpoint
CREATE INDEX "audit_log_tenant_entity_type" ON "audit_log" USING btree ("tenant_id","entity_type","id");--> statement-breakpoint
CREATE INDEX "audit_log_tenant_actor" ON "audit_log" USING btree ("tenant_id","actor_id","id");--> statement-breakpoint
CREATE INDEX "audit_log_tenant_request" ON "audit_log" USING btree ("tenant_id","request_id");--> statement-breakpoint
CREATE INDEX "audit_log_tenant_entity" ON "audit_log" USING btree ("tenant_id","entity_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "audit_log_fold" ON "audit_log" USING btree ("tenant_id","fold_key") WHERE fold_key is not null;--> statement-breakpoint
-- The chain (docs/decisions/0013). RFC 8785 of what jsonb can hold, so that any JSON tool recomputes a hash.
-- A number as ECMAScript writes it: the shortest digits that read back as the same double.
create function mate_canonical_number(value numeric) returns text
language plpgsql immutable strict parallel safe set extra_float_digits = 1 as $$
declare
  parts text[];
  digits text;
  point int;
  fewer numeric;
begin
  if value = trunc(value) and abs(value) < 9007199254740992 then
    return trunc(value)::bigint::text;
  end if;
  parts := regexp_match(abs(value)::float8::text, '^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$');
  digits := parts[1] || coalesce(parts[2], '');
  point := length(parts[1]) + coalesce(parts[3]::int, 0) - (length(digits) - length(ltrim(digits, '0')));
  digits := rtrim(ltrim(digits, '0'), '0');
  if digits = '' then
    return '0';
  end if;
  -- PostgreSQL leaves out a shorter form that lies on the very edge of what reads back; ECMAScript takes it.
  while length(digits) > 15 and abs(value) < 1e300 loop
    fewer := round(digits::numeric / 10);
    exit when (fewer::text || 'e' || point - length(digits) + 1)::float8 <> abs(value)::float8;
    point := point + length(fewer::text) - length(digits) + 1;
    digits := rtrim(fewer::text, '0');
  end loop;
  return case when value < 0 then '-' else '' end || case
    when point between length(digits) and 21 then rpad(digits, point, '0')
    when point between 1 and 21 then left(digits, point) || '.' || substr(digits, point + 1)
    when point between -5 and 0 then '0.' || repeat('0', -point) || digits
    else left(digits, 1) || case when length(digits) > 1 then '.' || substr(digits, 2) else '' end
      || 'e' || case when point > 0 then '+' else '-' end || abs(point - 1)::text
  end;
end
$$;
--> statement-breakpoint
-- Sorts by bytes as its argument does by UTF-16 code units: only U+E000 to U+FFFF stand elsewhere than in UTF-8.
create function mate_utf16_order(value text) returns text language sql immutable strict parallel safe
  return case when octet_length(value) = length(value) then value else
    regexp_replace(replace(value, U&'\+10FFFF', U&'\+10FFFF\0001'), U&'[\E000-\FFFF]', U&'\+10FFFF' || '\&', 'g') end;
--> statement-breakpoint
create function mate_canonical_json(value jsonb) returns text language plpgsql immutable strict parallel safe as $$
begin
  case jsonb_typeof(value)
    when 'object' then
      return (select '{' || coalesce(string_agg(to_json(f.key)::text || ':' || case
          when jsonb_typeof(f.value) in ('object', 'array', 'number') then public.mate_canonical_json(f.value) else f.value::text end, ','
        order by public.mate_utf16_order(f.key) collate "C"), '') || '}' from jsonb_each(value) f);
    when 'array' then
      return (select '[' || coalesce(string_agg(case
          when jsonb_typeof(e.value) in ('object', 'array', 'number') then public.mate_canonical_json(e.value) else e.value::text end, ','
        order by e.ordinality), '') || ']' from jsonb_array_elements(value) with ordinality e);
    when 'number' then
      return public.mate_canonical_number(value::numeric);
    else
      return value::text;
  end case;
end
$$;
--> statement-breakpoint
-- An instant as exports and hashes hold it: RFC 3339, in UTC, with the microseconds that the table keeps.
create function mate_instant(value timestamptz) returns text language sql stable strict parallel safe
  return to_char(value at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
--> statement-breakpoint
-- What the hash of an entry is over. `details` is canonical already: that needs no lock.
create function mate_audit_canonical(entry audit_log, details text, seq bigint, prev_hash bytea) returns text
language sql stable parallel safe
  return '{"action":' || to_json((entry).action)::text
    || ',"actor":{"id":' || to_json((entry).actor_id)::text || ',"kind":' || to_json((entry).actor_kind)::text
    || ',"name":' || to_json((entry).actor_name)::text || ',"role":' || coalesce(to_json((entry).actor_role)::text, 'null')
    || '},"at":"' || mate_instant((entry).at) || '","details":' || details
    || ',"entity":{"id":' || to_json((entry).entity_id)::text || ',"name":' || to_json((entry).entity_name)::text
    || ',"type":' || to_json((entry).entity_type)::text || '},"ip":' || coalesce(to_json((entry).ip)::text, 'null')
    || ',"outcome":' || to_json((entry).outcome)::text || ',"prevHash":"' || encode(prev_hash, 'hex')
    || '","requestId":' || to_json((entry).request_id)::text || ',"seq":' || seq::text
    || ',"tenantId":"' || (entry).tenant_id::text || '","userAgent":' || coalesce(to_json((entry).user_agent)::text, 'null') || '}';
--> statement-breakpoint
-- Gives an entry its place. Who holds the tenant's lock is the only one who does, until its commit is visible.
-- By the index always: the plan is made once a connection, and may have been made when the table was empty.
create function mate_chain(entry audit_log) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off as $$
declare
  canonical_details text := public.mate_canonical_json((entry).details);
  last_seq bigint;
  last_hash bytea;
begin
  perform pg_advisory_xact_lock(hashtextextended('mate.audit.' || (entry).tenant_id::text, 0));
  select c.seq, c.hash into last_seq, last_hash from public.audit_chain c
    where c.tenant_id = (entry).tenant_id order by c.seq desc limit 1;
  if not found then
    last_seq := 0;
    last_hash := decode(repeat('00', 32), 'hex');
  end if;
  insert into public.audit_chain (entry_id, tenant_id, seq, prev_hash, hash) values (
    (entry).id, (entry).tenant_id, last_seq + 1, last_hash,
    sha256(convert_to(public.mate_audit_canonical(entry, canonical_details, last_seq + 1, last_hash), 'UTF8')));
end
$$;
--> statement-breakpoint
revoke all on function mate_chain(audit_log) from public;
--> statement-breakpoint
create function mate_chain_entry() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  perform public.mate_chain(new);
  return null;
end
$$;
--> statement-breakpoint
-- What was written before there was a chain, in the order of its ids.
do $$
declare
  entry audit_log;
begin
  for entry in select * from audit_log order by tenant_id, id loop
    perform mate_chain(entry);
  end loop;
end
$$;
--> statement-breakpoint
-- At the commit and not at the insert: the lock is held for one look-up, one hash and the flush, and never while the
-- server thinks. It is also the last lock that a change takes, so that nobody waits for another in a circle.
create constraint trigger chain_entry after insert on audit_log deferrable initially deferred
  for each row execute function mate_chain_entry();
--> statement-breakpoint
-- Append-only for whoever connects, the owner included: only mate_cut_audit takes anything away.
create function mate_refuse_rewrite() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and current_setting('mate.audit_cut', true) = 'on' then
    return null;
  end if;
  raise exception 'The audit log is append-only: % on % is refused.', tg_op, tg_table_name;
end
$$;
--> statement-breakpoint
create trigger append_only before update or delete or truncate on audit_log for each statement execute function mate_refuse_rewrite();
--> statement-breakpoint
create trigger append_only before update or delete or truncate on audit_chain for each statement execute function mate_refuse_rewrite();
--> statement-breakpoint
-- The time of an entry is the database's: within its transaction, and not in the future.
drop policy tenant_wall on audit_log;
--> statement-breakpoint
create policy tenant_wall on audit_log to mate_app using (tenant_id = (select mate_tenant_id()))
  with check (tenant_id = (select mate_tenant_id()) and at between transaction_timestamp() and clock_timestamp());
--> statement-breakpoint
alter table audit_chain enable row level security;
--> statement-breakpoint
create policy tenant_wall on audit_chain to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select on audit_chain to mate_app;
--> statement-breakpoint
alter table audit_checkpoints enable row level security;
--> statement-breakpoint
create policy tenant_wall on audit_checkpoints to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select, insert on audit_checkpoints to mate_app;
--> statement-breakpoint
grant update (audit_retention_days) on tenants to mate_app;
--> statement-breakpoint
-- The search (docs/decisions/0014): by trigrams, in blocks of 65,536 ids, so that the newest are looked at first.
create extension if not exists pg_trgm;
--> statement-breakpoint
create extension if not exists btree_gin;
--> statement-breakpoint
create function mate_audit_text(entity_name text, actor_name text, action text, ip text, details jsonb) returns text
language sql immutable parallel safe
  return lower(entity_name || ' ' || actor_name || ' ' || action || ' ' || coalesce(ip, '') || ' ' || coalesce(details ->> 'reason', ''));
--> statement-breakpoint
create index audit_log_search on audit_log using gin (
  tenant_id, ((id >> 16)::int), mate_audit_text(entity_name, actor_name, action, ip, details) gin_trgm_ops
) with (gin_pending_list_limit = 512);
--> statement-breakpoint
-- Ids of one block whose text is like the pattern, in the tenant of the caller. As the owner, since row-level security lets
-- only leakproof operators near an index, and LIKE is none: the wall stands here instead. By the index always, as above.
create function mate_find_audit_text(pattern text, block int) returns setof bigint
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp
set enable_seqscan = off set enable_indexscan = off as $$
begin
  return query select l.id from public.audit_log l
    where l.tenant_id = public.mate_tenant_id() and (l.id >> 16)::int = block
      and public.mate_audit_text(l.entity_name, l.actor_name, l.action, l.ip, l.details) like pattern;
end
$$;
--> statement-breakpoint
revoke all on function mate_find_audit_text(text, int) from public;
--> statement-breakpoint
grant execute on function mate_find_audit_text(text, int) to mate_app;
--> statement-breakpoint
-- The only way by which entries go: the oldest of a tenant, up to a signed cut, each older than the tenant keeps them.
create function mate_cut_audit(tenant uuid, up_to bigint, at_most int) returns int
language plpgsql volatile set search_path = pg_catalog, public, pg_temp as $$
declare
  last bigint;
  gone bigint[];
begin
  select min(c.seq) + at_most - 1 into last from public.audit_chain c where c.tenant_id = tenant;
  last := least(last, up_to);
  select array_agg(c.entry_id) into gone from public.audit_chain c where c.tenant_id = tenant and c.seq <= last;
  if gone is null then
    return 0;
  end if;
  if not exists (select from public.audit_checkpoints p where p.tenant_id = tenant and p.type = 'cut' and p.seq >= last) then
    raise exception 'No signed cut covers sequence %.', last;
  end if;
  if exists (select from public.audit_log l join public.tenants t on t.id = l.tenant_id where l.id = any(gone)
    and (t.audit_retention_days is null or l.at >= now() - make_interval(days => t.audit_retention_days))) then
    raise exception 'The tenant keeps entries up to sequence %.', last;
  end if;
  perform set_config('mate.audit_cut', 'on', true);
  delete from public.audit_folds f using public.audit_log l
    where l.id = any(gone) and f.tenant_id = l.tenant_id and f.fold_key = l.fold_key;
  delete from public.audit_log l where l.id = any(gone);
  delete from public.audit_chain c where c.tenant_id = tenant and c.seq <= last;
  delete from public.audit_checkpoints p where p.tenant_id = tenant and p.seq < last and not p.is_pending;
  perform set_config('mate.audit_cut', '', true);
  return cardinality(gone);
end
$$;
--> statement-breakpoint
revoke all on function mate_cut_audit(uuid, bigint, int) from public;
