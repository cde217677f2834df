CREATE TABLE "api_key_usage" (
	"tenant_id" uuid NOT NULL,
	"key_id" uuid NOT NULL,
	"day" date NOT NULL,
	"operation" text NOT NULL,
	"needed_role" text NOT NULL,
	"calls" bigint DEFAULT 0 NOT NULL,
	"refusals" bigint DEFAULT 0 NOT NULL,
	"shadow_refusals" bigint DEFAULT 0 NOT NULL,
	"shadow_last_at" timestamp (6) with time zone,
	"last_at" timestamp (6) with time zone NOT NULL,
	"last_ip" text,
	CONSTRAINT "api_key_usage_key_id_day_operation_needed_role_pk" PRIMARY KEY("key_id","day","operation","needed_role")
);
--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "shadow_role" text;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "shadow_since" timestamp (6) with time zone;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "shadow_until" timestamp (6) with time zone;--> statement-breakpoint
ALTER TABLE "api_key_usage" ADD CONSTRAINT "api_key_usage_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "api_key_usage" ADD CONSTRAINT "api_key_usage_key_id_api_keys_id_fk" FOREIGN KEY ("key_id") REFERENCES "public"."api_keys"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "api_key_usage_day" ON "api_key_usage" USING btree ("day");--> statement-breakpoint
alter table api_key_usage enable row level security;
--> statement-breakpoint
create policy tenant_wall on api_key_usage to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
-- Counts are written by the batch, behind a request's back; a request reads them, and starts those of a trial anew.
grant select, update (shadow_refusals, shadow_last_at) on api_key_usage to mate_app;
--> statement-breakpoint
grant select (shadow_role, shadow_since, shadow_until), update (shadow_role, shadow_since, shadow_until)
  on api_keys to mate_app;
--> statement-breakpoint
-- How high a role stands; null for what is none.
create function mate_role_rank(role text) returns int language sql immutable parallel safe
  return array_position(array['Viewer', 'Tester', 'TenantAdmin', 'SuperAdmin'], role);
--> statement-breakpoint
-- Gives a key of this tenant the role that it has on trial, and ends the trial. The restricted role may not write a key's
-- role: this is its only way to, and it leads down alone.
create function mate_lower_key_role(key_id uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  update public.api_keys k
    set role = k.shadow_role, shadow_role = null, shadow_since = null, shadow_until = null
    where k.id = key_id and k.tenant_id = public.mate_tenant_id()
      and public.mate_role_rank(k.shadow_role) < public.mate_role_rank(k.role);
  return found;
end
$$;
--> statement-breakpoint
revoke all on function mate_lower_key_role(uuid) from public;
--> statement-breakpoint
grant execute on function mate_lower_key_role(uuid) to mate_app;
