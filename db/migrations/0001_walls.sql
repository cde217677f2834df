-- The second wall between tenants, and the only ways through it.
-- `mate_app` is what the gate becomes for the length of a transaction: it owns nothing and row-level security binds it.
do $$
begin
  create role mate_app nologin nosuperuser nocreatedb nocreaterole noinherit nobypassrls;
exception
  -- Roles belong to the whole cluster: another database, or another node at this moment, may have made it.
  when duplicate_object or unique_violation then null;
end
$$;
--> statement-breakpoint
do $$
begin
  if not pg_has_role(current_user, 'mate_app', 'member') then
    execute format('grant mate_app to %I', current_user);
  end if;
end
$$;
--> statement-breakpoint
grant usage on schema public to mate_app;
--> statement-breakpoint
-- The tenant of this transaction. After a transaction a setting is '', not NULL.
create function mate_tenant_id() returns uuid language sql stable parallel safe
  return nullif(current_setting('mate.tenant_id', true), '')::uuid;
--> statement-breakpoint
alter table tenants enable row level security;
--> statement-breakpoint
create policy tenant_wall on tenants to mate_app using (id = (select mate_tenant_id()));
--> statement-breakpoint
grant select on tenants to mate_app;
--> statement-breakpoint
alter table agents enable row level security;
--> statement-breakpoint
create policy tenant_wall on agents to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select, insert, update, delete on agents to mate_app;
--> statement-breakpoint
alter table api_keys enable row level security;
--> statement-breakpoint
create policy tenant_wall on api_keys to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
-- All columns but key_hash, which is written and never read back.
grant select (id, tenant_id, name, prefix, role, created_at, created_by_kind, created_by_id, created_by_name, expires_at,
  last_used_at, last_used_ip, last_used_user_agent, revoked_at, revoked_by_id, revoked_by_name, revoked_reason, form_id)
  on api_keys to mate_app;
--> statement-breakpoint
grant insert, delete on api_keys to mate_app;
--> statement-breakpoint
grant update (name, revoked_at, revoked_by_id, revoked_by_name, revoked_reason) on api_keys to mate_app;
--> statement-breakpoint
alter table audit_log enable row level security;
--> statement-breakpoint
create policy tenant_wall on audit_log to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
-- Append-only: no update, no delete.
grant select, insert on audit_log to mate_app;
--> statement-breakpoint
alter table audit_folds enable row level security;
--> statement-breakpoint
create policy tenant_wall on audit_folds to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select, insert, update on audit_folds to mate_app;
--> statement-breakpoint
-- One lock a principal: mutations hold it shared, whatever ends the principal's rights holds it exclusively.
create function mate_principal_lock(principal_id uuid) returns bigint language sql immutable strict parallel safe
  return hashtextextended('mate.principal.' || principal_id::text, 0);
--> statement-breakpoint
-- Finds a key by its hash before any tenant is known, and sets the tenant of the transaction to the key's own.
-- With `for_change`, it first takes the key's lock shared and reads the key again behind it: VOLATILE, so that each
-- statement sees what was committed while it waited.
create function mate_find_key(hash bytea, for_change boolean)
returns table (
  id uuid, name text, role text, prefix text, tenant_id uuid, tenant_name text, is_tenant_active boolean,
  expires_at timestamptz, is_expired boolean, is_revoked boolean
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  key_id uuid;
begin
  if for_change then
    select k.id into key_id from public.api_keys k where k.key_hash = hash;
    if key_id is null then
      return;
    end if;
    perform pg_advisory_xact_lock_shared(public.mate_principal_lock(key_id));
  end if;
  return query
    select k.id, k.name, k.role, k.prefix, k.tenant_id, t.name, t.is_active,
      k.expires_at, coalesce(k.expires_at <= clock_timestamp(), false), k.revoked_at is not null
    from public.api_keys k join public.tenants t on t.id = k.tenant_id,
      lateral (select set_config('mate.tenant_id', k.tenant_id::text, true)) as tenant_set
    where k.key_hash = hash;
end
$$;
--> statement-breakpoint
-- The same for a person's session.
create function mate_find_user(session_id uuid, for_change boolean)
returns table (
  id uuid, name text, email text, role text, tenant_id uuid, tenant_name text, is_tenant_active boolean, is_active boolean
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  holder_id uuid;
begin
  if for_change then
    select s.user_id into holder_id from public.sessions s where s.id = session_id;
    if holder_id is null then
      return;
    end if;
    perform pg_advisory_xact_lock_shared(public.mate_principal_lock(holder_id));
  end if;
  return query
    select u.id, u.name, u.email, u.role, u.tenant_id, t.name, t.is_active, u.is_active
    from public.sessions s join public.users u on u.id = s.user_id join public.tenants t on t.id = u.tenant_id,
      lateral (select set_config('mate.tenant_id', u.tenant_id::text, true)) as tenant_set
    where s.id = session_id and s.expires_at > clock_timestamp();
end
$$;
--> statement-breakpoint
revoke all on function mate_find_key(bytea, boolean), mate_find_user(uuid, boolean) from public;
--> statement-breakpoint
grant execute on function mate_find_key(bytea, boolean), mate_find_user(uuid, boolean) to mate_app;
