CREATE TABLE "deleted_runs" (
	"tenant_id" uuid NOT NULL,
	"month" date NOT NULL,
	"runs" integer NOT NULL,
	CONSTRAINT "deleted_runs_tenant_id_month_pk" PRIMARY KEY("tenant_id","month")
);
--> statement-breakpoint
ALTER TABLE "deleted_runs" ADD CONSTRAINT "deleted_runs_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
-- Names are unique whatever the case. Of those that are not yet, the oldest keeps its name.
update tenants t set name = t.name || ' (' || left(t.id::text, 8) || ')'
where exists (select from tenants o where lower(o.name) = lower(t.name) and (o.created_at, o.id) < (t.created_at, t.id));
--> statement-breakpoint
create unique index tenants_name on tenants (lower(name));
--> statement-breakpoint
create index tenants_created on tenants (created_at, id);
--> statement-breakpoint
alter table deleted_runs enable row level security;
--> statement-breakpoint
create policy tenant_wall on deleted_runs to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select on deleted_runs to mate_app;
--> statement-breakpoint
-- A run that is deleted was a run: else a quota of them could be emptied. Of earlier months nobody asks any more.
create function mate_count_deleted_run() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  of_month date := date_trunc('month', old.created_at at time zone 'UTC');
begin
  if of_month = date_trunc('month', clock_timestamp() at time zone 'UTC') then
    insert into public.deleted_runs as d (tenant_id, month, runs) values (old.tenant_id, of_month, 1)
      on conflict (tenant_id, month) do update set runs = d.runs + 1;
  end if;
  return null;
end
$$;
--> statement-breakpoint
create trigger count_deleted after delete on runs for each row execute function mate_count_deleted_run();
--> statement-breakpoint
-- What no wall of one tenant shows, for a SuperAdmin: the gate has asked for that role.
create function mate_list_tenants(before_at timestamptz, before_id uuid, most integer) returns setof tenants
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select * from public.tenants t where before_at is null or (t.created_at, t.id) < (before_at, before_id)
  order by t.created_at desc, t.id desc limit most
$$;
--> statement-breakpoint
create function mate_add_tenant(name text, max_users integer, max_api_keys integer, max_agents integer, max_test_suites integer,
  max_runs_per_month integer) returns setof tenants
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  insert into public.tenants (name, max_users, max_api_keys, max_agents, max_test_suites, max_runs_per_month)
  values ($1, $2, $3, $4, $5, $6) returning *
$$;
--> statement-breakpoint
-- How many active SuperAdmins there are in this tenant, and in all other active ones; counted alone, as mate_hold_other_admins.
create function mate_hold_super_admins(out inside bigint, out outside bigint)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('mate.admins', 0));
  select count(*) filter (where t.id = public.mate_tenant_id()), count(*) filter (where t.id <> public.mate_tenant_id() and t.is_active)
  into inside, outside
  from public.users u join public.tenants t on t.id = u.tenant_id
  where u.is_active and u.role = 'SuperAdmin';
end
$$;
--> statement-breakpoint
-- Has the pages of a SuperAdmin's session act in a tenant, or at home again when that is null; where they acted before.
create function mate_act_in(session_id uuid, wanted uuid, out previous uuid)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  select s.acting_tenant_id into previous from public.sessions s where s.id = session_id for update;
  update public.sessions s set acting_tenant_id = wanted from public.users u
  where s.id = session_id and u.id = s.user_id and u.is_active and (u.role = 'SuperAdmin' or wanted is null);
end
$$;
--> statement-breakpoint
revoke all on function mate_list_tenants(timestamptz, uuid, integer),
  mate_add_tenant(text, integer, integer, integer, integer, integer), mate_hold_super_admins(), mate_act_in(uuid, uuid) from public;
--> statement-breakpoint
grant execute on function mate_list_tenants(timestamptz, uuid, integer),
  mate_add_tenant(text, integer, integer, integer, integer, integer), mate_hold_super_admins(), mate_act_in(uuid, uuid) to mate_app;
--> statement-breakpoint
-- As before; and while the run's own tenant is active, whoever asked. Its lock is held as people's changes hold it: once a
-- deactivation has answered, nothing more of its runs is stored.
create or replace function mate_hold_requester(kind text, requester text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  holder uuid;
begin
  perform pg_advisory_xact_lock_shared(public.mate_people_lock(public.mate_tenant_id()));
  if not exists (select from public.tenants t where t.id = public.mate_tenant_id() and t.is_active) then
    return false;
  end if;
  if kind = 'console' then
    return true;
  end if;
  perform pg_advisory_xact_lock_shared(public.mate_principal_lock(requester::uuid));
  if kind = 'key' then
    -- An expired key's run goes on, but not past the leaving of whose key it was.
    select k.owner_id into holder from public.api_keys k where k.id = requester::uuid;
    if holder is not null then
      perform pg_advisory_xact_lock_shared(public.mate_principal_lock(holder));
    end if;
    return exists (
      select from public.api_keys k join public.tenants t on t.id = k.tenant_id left join public.users u on u.id = k.owner_id
      where k.id = requester::uuid and k.revoked_at is null and k.role <> 'Viewer' and t.is_active
        and coalesce(u.is_active, true));
  end if;
  return exists (
    select from public.users u join public.tenants t on t.id = u.tenant_id
    where u.id = requester::uuid and u.is_active and u.role <> 'Viewer' and t.is_active);
end
$$;
