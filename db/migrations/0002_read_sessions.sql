-- Reads run on a connection of their own, as mate_app from its first byte, without a transaction around them: the look-up
-- sets the tenant for the session, and the look-up of the next request overwrites it.
-- A statement that no look-up went before fails now, where it saw an empty table: after a reconnection, for example.
create or replace function mate_tenant_id() returns uuid language sql stable parallel safe
  return current_setting('mate.tenant_id')::uuid;
--> statement-breakpoint
drop function mate_find_key(bytea, boolean);
--> statement-breakpoint
-- As before; with `is_local` false the tenant outlives the statement, and a key that nobody has leaves none behind.
create function mate_find_key(hash bytea, for_change boolean, is_local boolean default true)
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
      lateral (select set_config('mate.tenant_id', k.tenant_id::text, is_local)) as tenant_set
    where k.key_hash = hash;
  if not found then
    perform set_config('mate.tenant_id', '', is_local);
  end if;
end
$$;
--> statement-breakpoint
drop function mate_find_user(uuid, boolean);
--> statement-breakpoint
create function mate_find_user(session_id uuid, for_change boolean, is_local boolean default true)
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
      lateral (select set_config('mate.tenant_id', u.tenant_id::text, is_local)) as tenant_set
    where s.id = session_id and s.expires_at > clock_timestamp();
  if not found then
    perform set_config('mate.tenant_id', '', is_local);
  end if;
end
$$;
--> statement-breakpoint
revoke all on function mate_find_key(bytea, boolean, boolean), mate_find_user(uuid, boolean, boolean) from public;
--> statement-breakpoint
grant execute on function mate_find_key(bytea, boolean, boolean), mate_find_user(uuid, boolean, boolean) to mate_app;
