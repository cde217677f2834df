CREATE TABLE "idempotency_keys" (
	"tenant_id" uuid NOT NULL,
	"principal_id" text NOT NULL,
	"key" text NOT NULL,
	"fingerprint" "bytea" NOT NULL,
	"output" text NOT NULL,
	"created_at" timestamp (6) with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "idempotency_keys_tenant_id_principal_id_key_pk" PRIMARY KEY("tenant_id","principal_id","key")
);
--> statement-breakpoint
CREATE UNLOGGED TABLE "key_rates" (
	"key" varchar(255) PRIMARY KEY NOT NULL,
	"points" integer DEFAULT 0 NOT NULL,
	"expire" bigint
);
--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "allowed_ips" text[];--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "requests_per_minute" integer;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "scopes" text[];--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "rotates_out_at" timestamp (6) with time zone;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "replaced_by_id" uuid;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "replaces_id" uuid;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "tripped_at" timestamp (6) with time zone;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "tripped_ip" text;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "tripped_user_agent" text;--> statement-breakpoint
ALTER TABLE "tenants" ADD COLUMN "keys_frozen_at" timestamp (6) with time zone;--> statement-breakpoint
ALTER TABLE "tenants" ADD COLUMN "keys_frozen_by_name" text;--> statement-breakpoint
ALTER TABLE "tenants" ADD COLUMN "keys_frozen_reason" text;--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "idempotency_keys_created" ON "idempotency_keys" USING btree ("created_at");--> statement-breakpoint
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_replaced_by_id_api_keys_id_fk" FOREIGN KEY ("replaced_by_id") REFERENCES "public"."api_keys"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_replaces_id_api_keys_id_fk" FOREIGN KEY ("replaces_id") REFERENCES "public"."api_keys"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "api_keys_replaced_by" ON "api_keys" USING btree ("replaced_by_id") WHERE replaced_by_id is not null;--> statement-breakpoint
CREATE INDEX "api_keys_replaces" ON "api_keys" USING btree ("replaces_id") WHERE replaces_id is not null;--> statement-breakpoint
CREATE INDEX "api_keys_tripped" ON "api_keys" USING btree ("tenant_id","tripped_at") WHERE tripped_at is not null;--> statement-breakpoint
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_limits" CHECK (cardinality(allowed_ips) is distinct from 0 and cardinality(scopes) is distinct from 0 and requests_per_minute >= 1);--> statement-breakpoint
alter table idempotency_keys enable row level security;
--> statement-breakpoint
create policy tenant_wall on idempotency_keys to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select, insert, update on idempotency_keys to mate_app;
--> statement-breakpoint
grant select (allowed_ips, requests_per_minute, scopes, rotates_out_at, replaced_by_id, replaces_id, tripped_at, tripped_ip,
  tripped_user_agent) on api_keys to mate_app;
--> statement-breakpoint
grant update (allowed_ips, requests_per_minute, scopes, rotates_out_at, replaced_by_id, tripped_at, tripped_ip,
  tripped_user_agent) on api_keys to mate_app;
--> statement-breakpoint
grant update (keys_frozen_at, keys_frozen_by_name, keys_frozen_reason) on tenants to mate_app;
--> statement-breakpoint
-- One lock a tenant: every change that one of its keys asks for holds it shared, a freeze of its keys exclusively.
create function mate_freeze_lock(tenant_id uuid) returns bigint language sql immutable strict parallel safe
  return hashtextextended('mate.freeze.' || tenant_id::text, 0);
--> statement-breakpoint
drop function mate_find_key(bytea, boolean, boolean);
--> statement-breakpoint
-- As before, with the key's limits, its end by rotation, and whether its tenant's keys are frozen. The tenant's lock is
-- taken first: whoever waits for it holds nothing yet.
create function mate_find_key(hash bytea, for_change boolean, is_local boolean default true)
returns table (
  id uuid, name text, role text, prefix text, tenant_id uuid, tenant_name text, is_tenant_active boolean,
  expires_at timestamptz, is_expired boolean, is_revoked boolean, rotates_out_at timestamptz, is_rotated_out boolean,
  is_frozen boolean, allowed_ips text[], requests_per_minute integer, scopes text[]
)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  key_id uuid;
  home_id uuid;
begin
  if for_change then
    select k.id, k.tenant_id into key_id, home_id from public.api_keys k where k.key_hash = hash;
    if key_id is null then
      return;
    end if;
    perform pg_advisory_xact_lock_shared(public.mate_freeze_lock(home_id));
    perform pg_advisory_xact_lock_shared(public.mate_principal_lock(key_id));
  end if;
  return query
    select k.id, k.name, k.role, k.prefix, k.tenant_id, t.name, t.is_active,
      k.expires_at, coalesce(k.expires_at <= clock_timestamp(), false), k.revoked_at is not null,
      k.rotates_out_at, coalesce(k.rotates_out_at <= clock_timestamp(), false),
      t.keys_frozen_at is not null, k.allowed_ips, k.requests_per_minute, k.scopes
    from public.api_keys k join public.tenants t on t.id = k.tenant_id,
      lateral (select set_config('mate.tenant_id', k.tenant_id::text, is_local)) as tenant_set
    where k.key_hash = hash;
  if not found then
    perform set_config('mate.tenant_id', '', is_local);
  end if;
end
$$;
--> statement-breakpoint
revoke all on function mate_find_key(bytea, boolean, boolean) from public;
--> statement-breakpoint
grant execute on function mate_find_key(bytea, boolean, boolean) to mate_app;

--> statement-breakpoint
-- As before; and what is on its way out leaves its name to its successor.
create or replace function mate_hold_key_name(wanted text, except_id uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('mate.key-name.' || public.mate_tenant_id()::text || lower(wanted), 0));
  return not exists (
    select from public.api_keys k
    where k.tenant_id = public.mate_tenant_id() and lower(k.name) = lower(wanted) and k.id is distinct from except_id
      and k.revoked_at is null and k.rotates_out_at is null and (k.expires_at is null or k.expires_at > clock_timestamp()));
end
$$;
