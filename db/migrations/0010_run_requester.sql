-- A run goes on while whoever asked for it still may ask: a key until it is revoked or deleted, a person while they are
-- active. Holds their lock, shared, to the commit: once a revoke has answered, nothing more of their runs is stored.
create function mate_hold_requester(kind text, requester text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  if kind = 'console' then
    return true;
  end if;
  perform pg_advisory_xact_lock_shared(public.mate_principal_lock(requester::uuid));
  if kind = 'key' then
    return exists (select from public.api_keys k where k.id = requester::uuid and k.revoked_at is null);
  end if;
  return exists (select from public.users u where u.id = requester::uuid and u.is_active);
end
$$;
--> statement-breakpoint
revoke all on function mate_hold_requester(text, text) from public;
--> statement-breakpoint
grant execute on function mate_hold_requester(text, text) to mate_app;
