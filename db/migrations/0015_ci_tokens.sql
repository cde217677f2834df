CREATE TABLE "trust_rules" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"tenant_id" uuid NOT NULL,
	"name" text NOT NULL,
	"issuer" text NOT NULL,
	"audience" text NOT NULL,
	"conditions" jsonb NOT NULL,
	"role" text NOT NULL,
	"allowed_ips" text[],
	"requests_per_minute" integer,
	"scopes" text[],
	"lifetime_minutes" integer NOT NULL,
	"is_active" boolean DEFAULT true NOT NULL,
	"created_by_kind" text NOT NULL,
	"created_by_id" text NOT NULL,
	"created_by_name" text NOT NULL,
	"owner_id" uuid,
	"created_at" timestamp (6) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (6) with time zone DEFAULT now() NOT NULL,
	"last_used_at" timestamp (6) with time zone,
	CONSTRAINT "trust_rules_limits" CHECK (cardinality(allowed_ips) is distinct from 0 and cardinality(scopes) is distinct from 0 and requests_per_minute >= 1 and lifetime_minutes between 1 and 15)
);
--> statement-breakpoint
CREATE TABLE "used_tokens" (
	"hash" "bytea" PRIMARY KEY NOT NULL,
	"expires_at" timestamp (6) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "trust_rule_id" uuid;--> statement-breakpoint
ALTER TABLE "trust_rules" ADD CONSTRAINT "trust_rules_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "trust_rules" ADD CONSTRAINT "trust_rules_owner_id_users_id_fk" FOREIGN KEY ("owner_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "trust_rules_tenant_created" ON "trust_rules" USING btree ("tenant_id","created_at","id");--> statement-breakpoint
CREATE UNIQUE INDEX "trust_rules_tenant_name" ON "trust_rules" USING btree ("tenant_id",lower("name"));--> statement-breakpoint
CREATE INDEX "trust_rules_issuer" ON "trust_rules" USING btree ("issuer","audience");--> statement-breakpoint
CREATE INDEX "trust_rules_owner" ON "trust_rules" USING btree ("owner_id");--> statement-breakpoint
CREATE INDEX "used_tokens_expires" ON "used_tokens" USING btree ("expires_at");--> statement-breakpoint
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_trust_rule_id_trust_rules_id_fk" FOREIGN KEY ("trust_rule_id") REFERENCES "public"."trust_rules"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "api_keys_trust_rule" ON "api_keys" USING btree ("trust_rule_id") WHERE trust_rule_id is not null;--> statement-breakpoint
CREATE INDEX "api_keys_ci_expiry" ON "api_keys" USING btree ("expires_at") WHERE created_by_kind = 'trust_rule';--> statement-breakpoint
grant select (trust_rule_id) on api_keys to mate_app;
--> statement-breakpoint
alter table trust_rules enable row level security;
--> statement-breakpoint
create policy tenant_wall on trust_rules to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select, insert, delete,
  update (name, issuer, audience, conditions, role, allowed_ips, requests_per_minute, scopes, lifetime_minutes, is_active,
    owner_id, updated_at, last_used_at)
  on trust_rules to mate_app;
--> statement-breakpoint
-- Of no tenant: read and written by mate_use_token alone.
alter table used_tokens enable row level security;
--> statement-breakpoint
-- The rules, of any tenant, that a token may be meant for; whose it is is known only once one of them is chosen.
create function mate_find_trust_rules(wanted_issuer text, wanted_audiences text[], wanted_id uuid)
returns table (id uuid, tenant_id uuid, name text, audience text, conditions jsonb)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select r.id, r.tenant_id, r.name, r.audience, r.conditions
  from public.trust_rules r join public.tenants t on t.id = r.tenant_id
  where r.issuer = wanted_issuer and r.audience = any (wanted_audiences) and (wanted_id is null or r.id = wanted_id)
    and r.is_active and t.is_active
$$;
--> statement-breakpoint
-- For a key that the rule gives out: holds, shared, what ends all keys of the tenant and what ends the rule, and sets the
-- tenant. The role is the least of the rule's and its owner's; null when the owner may make no keys in this tenant any more.
create function mate_hold_trust_rule(rule_id uuid)
returns table (tenant_id uuid, tenant_name text, is_tenant_active boolean, is_frozen boolean, granted_role text)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  home_id uuid;
begin
  select r.tenant_id into home_id from public.trust_rules r where r.id = rule_id;
  if home_id is null then
    return;
  end if;
  perform pg_advisory_xact_lock_shared(public.mate_freeze_lock(home_id));
  perform pg_advisory_xact_lock_shared(public.mate_principal_lock(rule_id));
  return query
    select t.id, t.name, t.is_active, t.keys_frozen_at is not null,
      case
        when r.owner_id is null then r.role
        when u.role = 'SuperAdmin' and u.is_active then r.role
        when u.role = 'TenantAdmin' and u.is_active and u.tenant_id = r.tenant_id then
          case when r.role = 'SuperAdmin' then u.role else r.role end
      end
    from public.trust_rules r join public.tenants t on t.id = r.tenant_id left join public.users u on u.id = r.owner_id,
      lateral (select set_config('mate.tenant_id', r.tenant_id::text, true)) as tenant_set
    where r.id = rule_id;
end
$$;
--> statement-breakpoint
-- Whether this token is used for the first time. Of two at once the second waits for what becomes of the first.
create function mate_use_token(token_hash bytea, good_until timestamptz) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  insert into public.used_tokens (hash, expires_at) values (token_hash, good_until) on conflict do nothing;
  return found;
end
$$;
--> statement-breakpoint
revoke all on function mate_find_trust_rules(text, text[], uuid), mate_hold_trust_rule(uuid), mate_use_token(bytea, timestamptz)
  from public;
--> statement-breakpoint
grant execute on function mate_find_trust_rules(text, text[], uuid), mate_hold_trust_rule(uuid), mate_use_token(bytea, timestamptz)
  to mate_app;
--> statement-breakpoint
-- As before; and those that they have trust rules in.
create or replace function mate_tenants_of_owner(owner uuid) returns setof uuid
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select k.tenant_id from public.api_keys k where k.owner_id = owner and k.revoked_at is null
  union
  select r.tenant_id from public.trust_rules r where r.owner_id = owner
$$;
