CREATE TABLE "invitations" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"tenant_id" uuid NOT NULL,
	"email" text NOT NULL,
	"role" text NOT NULL,
	"token_hash" "bytea" NOT NULL,
	"created_at" timestamp (6) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (6) with time zone NOT NULL,
	"created_by_kind" text NOT NULL,
	"created_by_id" text NOT NULL,
	"created_by_name" text NOT NULL,
	"owner_id" uuid
);
--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "owner_id" uuid;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "is_pending" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "method" text DEFAULT 'password' NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "authenticated_at" timestamp (6) with time zone DEFAULT clock_timestamp() NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "acting_tenant_id" uuid;--> statement-breakpoint
ALTER TABLE "tenants" ADD COLUMN "max_users" integer;--> statement-breakpoint
ALTER TABLE "tenants" ADD COLUMN "max_api_keys" integer;--> statement-breakpoint
ALTER TABLE "tenants" ADD COLUMN "max_agents" integer;--> statement-breakpoint
ALTER TABLE "tenants" ADD COLUMN "max_test_suites" integer;--> statement-breakpoint
ALTER TABLE "tenants" ADD COLUMN "max_runs_per_month" integer;--> statement-breakpoint
ALTER TABLE "tenants" ADD COLUMN "requires_second_factor" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "tenants" ADD COLUMN "is_sso_only" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "last_signed_in_at" timestamp (6) with time zone;--> statement-breakpoint
ALTER TABLE "invitations" ADD CONSTRAINT "invitations_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "invitations" ADD CONSTRAINT "invitations_owner_id_users_id_fk" FOREIGN KEY ("owner_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "invitations_token" ON "invitations" USING btree ("token_hash");--> statement-breakpoint
CREATE UNIQUE INDEX "invitations_email" ON "invitations" USING btree ("tenant_id","email");--> statement-breakpoint
CREATE INDEX "invitations_tenant_created" ON "invitations" USING btree ("tenant_id","created_at","id");--> statement-breakpoint
CREATE INDEX "invitations_owner" ON "invitations" USING btree ("owner_id");--> statement-breakpoint
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_owner_id_users_id_fk" FOREIGN KEY ("owner_id") REFERENCES "public"."users"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_acting_tenant_id_tenants_id_fk" FOREIGN KEY ("acting_tenant_id") REFERENCES "public"."tenants"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "api_keys_owner" ON "api_keys" USING btree ("owner_id") WHERE owner_id is not null;--> statement-breakpoint
CREATE INDEX "users_tenant_created" ON "users" USING btree ("tenant_id","created_at","id");--> statement-breakpoint
-- Keys made before: of the person who made them, or whose key did, however long the line.
with recursive made(id, owner_id) as (
  select k.id, u.id from api_keys k join users u on k.created_by_kind = 'user' and u.id::text = k.created_by_id
  union
  select k.id, m.owner_id from api_keys k join made m on k.created_by_kind = 'key' and k.created_by_id = m.id::text
)
update api_keys k set owner_id = m.owner_id from made m where m.id = k.id;
--> statement-breakpoint
grant select (owner_id), update (owner_id) on api_keys to mate_app;
--> statement-breakpoint
grant update (name, is_active, max_users, max_api_keys, max_agents, max_test_suites, max_runs_per_month,
  requires_second_factor, is_sso_only) on tenants to mate_app;
--> statement-breakpoint
-- People have a wall as everything else. What proves who they are (passwords, tokens) stays out of reach.
alter table users enable row level security;
--> statement-breakpoint
create policy tenant_wall on users to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select, insert, delete, update (name, role, is_active, updated_at) on users to mate_app;
--> statement-breakpoint
alter table sessions enable row level security;
--> statement-breakpoint
create policy tenant_wall on sessions to mate_app using (user_id in (select u.id from users u));
--> statement-breakpoint
grant select (id, user_id, expires_at, ip_address, user_agent, is_pending, method, authenticated_at, acting_tenant_id,
  created_at, updated_at), delete on sessions to mate_app;
--> statement-breakpoint
alter table invitations enable row level security;
--> statement-breakpoint
create policy tenant_wall on invitations to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select (id, tenant_id, email, role, created_at, expires_at, created_by_kind, created_by_id, created_by_name, owner_id),
  insert, delete on invitations to mate_app;
--> statement-breakpoint
-- Changes by people hold it shared, as those by keys hold mate_freeze_lock; whatever ends a whole tenant holds both alone.
create function mate_people_lock(tenant_id uuid) returns bigint language sql immutable strict parallel safe
  return hashtextextended('mate.people.' || tenant_id::text, 0);
--> statement-breakpoint
drop function mate_find_key(bytea, boolean, boolean);
--> statement-breakpoint
-- As before, with the person whose key it is. A change holds their lock, shared, as well: so one lock, the person's, is all
-- that has to be waited for when they leave, whatever keys they have or make meanwhile.
create function mate_find_key(hash bytea, for_change boolean, is_local boolean default true)
returns table (
  id uuid, name text, role text, prefix text, tenant_id uuid, tenant_name text, is_tenant_active boolean,
  expires_at timestamptz, is_expired boolean, is_revoked boolean, rotates_out_at timestamptz, is_rotated_out boolean,
  is_frozen boolean, allowed_ips text[], requests_per_minute integer, scopes text[], owner_id uuid
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  key_id uuid;
  home_id uuid;
  held uuid;
  holder uuid;
begin
  if for_change then
    select k.id, k.tenant_id, k.owner_id into key_id, home_id, holder from public.api_keys k where k.key_hash = hash;
    if key_id is null then
      return;
    end if;
    perform pg_advisory_xact_lock_shared(public.mate_freeze_lock(home_id));
    perform pg_advisory_xact_lock_shared(public.mate_principal_lock(key_id));
    -- It may have been transferred while we waited.
    while holder is distinct from held and holder is not null loop
      held := holder;
      perform pg_advisory_xact_lock_shared(public.mate_principal_lock(held));
      select k.owner_id into holder from public.api_keys k where k.id = key_id;
    end loop;
  end if;
  return query
    select k.id, k.name, k.role, k.prefix, k.tenant_id, t.name, t.is_active,
      k.expires_at, coalesce(k.expires_at <= clock_timestamp(), false), k.revoked_at is not null,
      k.rotates_out_at, coalesce(k.rotates_out_at <= clock_timestamp(), false),
      t.keys_frozen_at is not null, k.allowed_ips, k.requests_per_minute, k.scopes, k.owner_id
    from public.api_keys k join public.tenants t on t.id = k.tenant_id,
      lateral (select set_config('mate.tenant_id', k.tenant_id::text, is_local)) as tenant_set
    where k.key_hash = hash;
  if not found then
    perform set_config('mate.tenant_id', '', is_local);
  end if;
end
$$;
--> statement-breakpoint
drop function mate_find_user(uuid, boolean, boolean);
--> statement-breakpoint
-- As before, without sessions that wait for their second factor, and with when their person last signed in.
create function mate_find_user(session_id uuid, for_change boolean, is_local boolean default true)
returns table (
  id uuid, name text, email text, role text, tenant_id uuid, tenant_name text, is_tenant_active boolean, is_active boolean,
  authenticated_at timestamptz
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  holder_id uuid;
  home_id uuid;
begin
  if for_change then
    select u.id, u.tenant_id into holder_id, home_id
    from public.sessions s join public.users u on u.id = s.user_id where s.id = session_id;
    if holder_id is null then
      return;
    end if;
    perform pg_advisory_xact_lock_shared(public.mate_people_lock(home_id));
    perform pg_advisory_xact_lock_shared(public.mate_principal_lock(holder_id));
  end if;
  return query
    select u.id, u.name, u.email, u.role, u.tenant_id, t.name, t.is_active, u.is_active, s.authenticated_at
    from public.sessions s join public.users u on u.id = s.user_id join public.tenants t on t.id = u.tenant_id,
      lateral (select set_config('mate.tenant_id', u.tenant_id::text, is_local)) as tenant_set
    where s.id = session_id and s.expires_at > clock_timestamp() and not s.is_pending;
  if not found then
    perform set_config('mate.tenant_id', '', is_local);
  end if;
end
$$;
--> statement-breakpoint
revoke all on function mate_find_key(bytea, boolean, boolean), mate_find_user(uuid, boolean, boolean) from public;
--> statement-breakpoint
grant execute on function mate_find_key(bytea, boolean, boolean), mate_find_user(uuid, boolean, boolean) to mate_app;
--> statement-breakpoint
-- As before; and while whoever asked may still ask for runs at all: not as a Viewer, nor in a tenant that is deactivated.
create or replace function mate_hold_requester(kind text, requester text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  if kind = 'console' then
    return true;
  end if;
  perform pg_advisory_xact_lock_shared(public.mate_principal_lock(requester::uuid));
  if kind = 'key' then
    return exists (
      select from public.api_keys k join public.tenants t on t.id = k.tenant_id
      where k.id = requester::uuid and k.revoked_at is null and k.role <> 'Viewer' and t.is_active);
  end if;
  return exists (
    select from public.users u join public.tenants t on t.id = u.tenant_id
    where u.id = requester::uuid and u.is_active and u.role <> 'Viewer' and t.is_active);
end
$$;
--> statement-breakpoint
-- The tenants that a person has live keys in: a SuperAdmin makes them in any.
create function mate_tenants_of_owner(owner uuid) returns setof uuid
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select distinct k.tenant_id from public.api_keys k where k.owner_id = owner and k.revoked_at is null
$$;
--> statement-breakpoint
-- Lowers a key's role to `ceiling`, never raises it; whether it was above.
create function mate_clamp_key_role(key_id uuid, ceiling text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  update public.api_keys k set role = ceiling, shadow_role = null, shadow_since = null, shadow_until = null
  where k.id = key_id and k.tenant_id = public.mate_tenant_id()
    and public.mate_role_rank(k.role) > public.mate_role_rank(ceiling);
  return found;
end
$$;
--> statement-breakpoint
-- How many others could do what this person's role lets them do, counted alone: of two at once, the second sees the first.
create function mate_hold_other_admins(person uuid, out in_tenant bigint, out super_admins bigint)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('mate.admins', 0));
  select count(*) filter (where u.tenant_id = public.mate_tenant_id()), count(*) filter (where u.role = 'SuperAdmin' and t.is_active)
  into in_tenant, super_admins
  from public.users u join public.tenants t on t.id = u.tenant_id
  where u.id <> person and u.is_active and u.role in ('TenantAdmin', 'SuperAdmin');
end
$$;
--> statement-breakpoint
revoke all on function mate_tenants_of_owner(uuid), mate_clamp_key_role(uuid, text), mate_hold_other_admins(uuid) from public;
--> statement-breakpoint
grant execute on function mate_tenants_of_owner(uuid), mate_clamp_key_role(uuid, text), mate_hold_other_admins(uuid) to mate_app;
