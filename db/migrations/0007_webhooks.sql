CREATE TABLE "notices" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"tenant_id" uuid NOT NULL,
	"kind" text NOT NULL,
	"entity_id" uuid,
	"entity_name" text,
	"facts" jsonb NOT NULL,
	"at" timestamp (6) with time zone DEFAULT clock_timestamp() NOT NULL,
	"dismissed_at" timestamp (6) with time zone,
	"dismissed_by_name" text,
	"once_key" text
);
--> statement-breakpoint
CREATE TABLE "outbox" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "outbox_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"tenant_id" uuid NOT NULL,
	"queue" text NOT NULL,
	"data" jsonb NOT NULL,
	"group_id" text NOT NULL,
	"start_after" timestamp (6) with time zone
);
--> statement-breakpoint
CREATE TABLE "webhook_deliveries" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"tenant_id" uuid NOT NULL,
	"webhook_id" uuid NOT NULL,
	"event" text NOT NULL,
	"body" text NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"retries" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp (6) with time zone,
	"last_attempt_at" timestamp (6) with time zone,
	"response_status" integer,
	"duration_ms" integer,
	"error" text,
	"created_at" timestamp (6) with time zone DEFAULT clock_timestamp() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "webhooks" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"tenant_id" uuid NOT NULL,
	"url" text NOT NULL,
	"description" text NOT NULL,
	"events" text[] NOT NULL,
	"is_active" boolean NOT NULL,
	"secret" "bytea" NOT NULL,
	"previous_secret" "bytea",
	"previous_secret_until" timestamp (6) with time zone,
	"failing_since" timestamp (6) with time zone,
	"deactivated_reason" text,
	"audit_cursor" bigint,
	"created_at" timestamp (6) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (6) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "notices" ADD CONSTRAINT "notices_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "outbox" ADD CONSTRAINT "outbox_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_webhook_id_webhooks_id_fk" FOREIGN KEY ("webhook_id") REFERENCES "public"."webhooks"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "webhooks" ADD CONSTRAINT "webhooks_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "notices_tenant_at" ON "notices" USING btree ("tenant_id","at","id");--> statement-breakpoint
CREATE UNIQUE INDEX "notices_once" ON "notices" USING btree ("tenant_id","once_key");--> statement-breakpoint
CREATE INDEX "webhook_deliveries_webhook" ON "webhook_deliveries" USING btree ("tenant_id","webhook_id","created_at","id");--> statement-breakpoint
CREATE INDEX "webhook_deliveries_pending" ON "webhook_deliveries" USING btree ("webhook_id") WHERE status = 'pending';--> statement-breakpoint
CREATE INDEX "webhook_deliveries_created" ON "webhook_deliveries" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "webhooks_tenant_created" ON "webhooks" USING btree ("tenant_id","created_at","id");--> statement-breakpoint
-- What a change asks to be done later is written with it. The restricted role puts it in and never sees it again.
alter table outbox enable row level security;
--> statement-breakpoint
create policy tenant_wall on outbox to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant insert on outbox to mate_app;
--> statement-breakpoint
alter table notices enable row level security;
--> statement-breakpoint
create policy tenant_wall on notices to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select, insert, update (dismissed_at, dismissed_by_name) on notices to mate_app;
--> statement-breakpoint
alter table webhooks enable row level security;
--> statement-breakpoint
create policy tenant_wall on webhooks to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select, insert, delete,
  update (url, description, events, is_active, secret, previous_secret, previous_secret_until, failing_since,
    deactivated_reason, audit_cursor, updated_at)
  on webhooks to mate_app;
--> statement-breakpoint
alter table webhook_deliveries enable row level security;
--> statement-breakpoint
create policy tenant_wall on webhook_deliveries to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select, insert,
  update (status, attempts, retries, next_attempt_at, last_attempt_at, response_status, duration_ms, error)
  on webhook_deliveries to mate_app;
