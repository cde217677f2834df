-- Ascending indexes, read backwards: `order by … desc` has nulls first, and an index made by drizzle's desc() has them last,
-- so that each list read and sorted everything that its tenant has.
DROP INDEX "agents_tenant_created";--> statement-breakpoint
DROP INDEX "api_keys_tenant_created";--> statement-breakpoint
DROP INDEX "audit_log_tenant_id";--> statement-breakpoint
DROP INDEX "audit_log_tenant_action";--> statement-breakpoint
DROP INDEX "audit_log_tenant_entity";--> statement-breakpoint
DROP INDEX "audit_log_tenant_at";--> statement-breakpoint
CREATE INDEX "agents_tenant_created" ON "agents" USING btree ("tenant_id","created_at","id");--> statement-breakpoint
CREATE INDEX "api_keys_tenant_created" ON "api_keys" USING btree ("tenant_id","created_at","id");--> statement-breakpoint
CREATE INDEX "audit_log_tenant_id" ON "audit_log" USING btree ("tenant_id","id");--> statement-breakpoint
CREATE INDEX "audit_log_tenant_action" ON "audit_log" USING btree ("tenant_id","action","id");--> statement-breakpoint
CREATE INDEX "audit_log_tenant_entity" ON "audit_log" USING btree ("tenant_id","entity_type","id");--> statement-breakpoint
CREATE INDEX "audit_log_tenant_at" ON "audit_log" USING btree ("tenant_id","at");--> statement-breakpoint
-- Holds a name of this tenant's keys until the transaction ends, and says whether no other active key has it.
-- As the owner: under row-level security no index on lower(name) is used, since lower() is not leakproof, and each new
-- key would read all the others. VOLATILE: the look sees what was committed while the lock was waited for.
create function mate_hold_key_name(wanted text, except_id uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('mate.key-name.' || public.mate_tenant_id()::text || lower(wanted), 0));
  return not exists (
    select from public.api_keys k
    where k.tenant_id = public.mate_tenant_id() and lower(k.name) = lower(wanted) and k.id is distinct from except_id
      and k.revoked_at is null and (k.expires_at is null or k.expires_at > clock_timestamp()));
end
$$;
--> statement-breakpoint
revoke all on function mate_hold_key_name(text, uuid) from public;
--> statement-breakpoint
grant execute on function mate_hold_key_name(text, uuid) to mate_app;
