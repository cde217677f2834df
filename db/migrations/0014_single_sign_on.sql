CREATE TABLE "identity_providers" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"name" text NOT NULL,
	"issuer" text NOT NULL,
	"client_id" text NOT NULL,
	"client_secret" "bytea" NOT NULL,
	"scopes" text[] NOT NULL,
	"tenant_claim" text NOT NULL,
	"role_claim" text,
	"is_email_trusted" boolean NOT NULL,
	"mappings" jsonb NOT NULL,
	"is_active" boolean NOT NULL,
	"audit_tenant_id" uuid NOT NULL,
	"created_at" timestamp (6) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (6) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "identity_providers" ADD CONSTRAINT "identity_providers_audit_tenant_id_tenants_id_fk" FOREIGN KEY ("audit_tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "accounts_provider" ON "accounts" USING btree ("provider_id","account_id");
--> statement-breakpoint
-- Of the deployment, so there is no tenant to wall it by: the gate lets a SuperAdmin alone ask for it. Its secret is
-- written and never read back; sign-in, which needs it, runs as the login role.
alter table identity_providers enable row level security;
--> statement-breakpoint
create policy of_the_deployment on identity_providers to mate_app using (true);
--> statement-breakpoint
grant select (id, name, issuer, client_id, scopes, tenant_claim, role_claim, is_email_trusted, mappings, is_active,
  audit_tenant_id, created_at, updated_at), insert, delete,
  update (name, client_id, client_secret, scopes, tenant_claim, role_claim, is_email_trusted, mappings, is_active, updated_at)
  on identity_providers to mate_app;
--> statement-breakpoint
-- What a provider's mapping has to know of its tenants, over the wall between them.
create function mate_mappable_tenants(ids uuid[]) returns table (id uuid, name text, is_sso_only boolean)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select t.id, t.name, t.is_sso_only from public.tenants t where t.id = any(ids)
$$;
--> statement-breakpoint
revoke all on function mate_mappable_tenants(uuid[]) from public;
--> statement-breakpoint
grant execute on function mate_mappable_tenants(uuid[]) to mate_app;
