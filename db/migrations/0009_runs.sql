CREATE TABLE "judge_settings" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"tenant_id" uuid NOT NULL,
	"name" text NOT NULL,
	"provider" text NOT NULL,
	"weights" jsonb NOT NULL,
	"pass_threshold" double precision NOT NULL,
	"criteria" jsonb NOT NULL,
	"model" jsonb,
	"model_secret" "bytea",
	"is_default" boolean DEFAULT false NOT NULL,
	"created_at" timestamp (6) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (6) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "results" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"tenant_id" uuid NOT NULL,
	"run_id" uuid NOT NULL,
	"position" integer NOT NULL,
	"test_case_id" uuid,
	"test_case" jsonb NOT NULL,
	"verdict" text,
	"scores" jsonb,
	"overall_score" double precision,
	"rationale" text,
	"latency_ms" double precision,
	"executed_at" timestamp (6) with time zone,
	"human_verdict" text,
	"human_note" text,
	"human_by_id" text,
	"human_by_name" text,
	"human_at" timestamp (6) with time zone
);
--> statement-breakpoint
CREATE TABLE "runs" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"tenant_id" uuid NOT NULL,
	"suite_id" uuid,
	"suite_name" text NOT NULL,
	"agent_id" uuid,
	"agent_name" text NOT NULL,
	"pass_threshold" double precision NOT NULL,
	"delay_between_tests_ms" integer NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"total" integer NOT NULL,
	"passed" integer DEFAULT 0 NOT NULL,
	"failed" integer DEFAULT 0 NOT NULL,
	"skipped" integer DEFAULT 0 NOT NULL,
	"errors" integer DEFAULT 0 NOT NULL,
	"average_latency_ms" double precision,
	"median_latency_ms" double precision,
	"p95_latency_ms" double precision,
	"requested_by_kind" text NOT NULL,
	"requested_by_id" text NOT NULL,
	"requested_by_name" text NOT NULL,
	"created_at" timestamp (6) with time zone DEFAULT clock_timestamp() NOT NULL,
	"started_at" timestamp (6) with time zone,
	"completed_at" timestamp (6) with time zone,
	"error_message" text
);
--> statement-breakpoint
CREATE TABLE "test_cases" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"tenant_id" uuid NOT NULL,
	"suite_id" uuid NOT NULL,
	"name" text NOT NULL,
	"description" text DEFAULT '' NOT NULL,
	"user_input" text[] NOT NULL,
	"acceptance_criteria" text DEFAULT '' NOT NULL,
	"expected_intent" text,
	"expected_entities" text[] DEFAULT '{}'::text[] NOT NULL,
	"reference_answer" text,
	"tags" text[] DEFAULT '{}'::text[] NOT NULL,
	"is_active" boolean DEFAULT true NOT NULL,
	"sort_order" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp (6) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (6) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "test_suites" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"tenant_id" uuid NOT NULL,
	"name" text NOT NULL,
	"description" text DEFAULT '' NOT NULL,
	"pass_threshold" double precision NOT NULL,
	"delay_between_tests_ms" integer NOT NULL,
	"tags" text[] DEFAULT '{}'::text[] NOT NULL,
	"judge_setting_id" uuid,
	"created_at" timestamp (6) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (6) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "transcript_messages" (
	"tenant_id" uuid NOT NULL,
	"result_id" uuid NOT NULL,
	"position" integer NOT NULL,
	"role" text NOT NULL,
	"content" text NOT NULL,
	"raw" text,
	"turn_index" integer NOT NULL,
	"latency_ms" double precision,
	"at" timestamp (6) with time zone NOT NULL,
	CONSTRAINT "transcript_messages_result_id_position_pk" PRIMARY KEY("result_id","position")
);
--> statement-breakpoint
ALTER TABLE "agents" ADD COLUMN "connector_id" uuid DEFAULT gen_random_uuid() NOT NULL;--> statement-breakpoint
ALTER TABLE "agents" ADD COLUMN "judge_setting_id" uuid;--> statement-breakpoint
ALTER TABLE "judge_settings" ADD CONSTRAINT "judge_settings_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "results" ADD CONSTRAINT "results_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "results" ADD CONSTRAINT "results_run_id_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "public"."runs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "results" ADD CONSTRAINT "results_test_case_id_test_cases_id_fk" FOREIGN KEY ("test_case_id") REFERENCES "public"."test_cases"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "runs" ADD CONSTRAINT "runs_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "runs" ADD CONSTRAINT "runs_suite_id_test_suites_id_fk" FOREIGN KEY ("suite_id") REFERENCES "public"."test_suites"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "runs" ADD CONSTRAINT "runs_agent_id_agents_id_fk" FOREIGN KEY ("agent_id") REFERENCES "public"."agents"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "test_cases" ADD CONSTRAINT "test_cases_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "test_cases" ADD CONSTRAINT "test_cases_suite_id_test_suites_id_fk" FOREIGN KEY ("suite_id") REFERENCES "public"."test_suites"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "test_suites" ADD CONSTRAINT "test_suites_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "test_suites" ADD CONSTRAINT "test_suites_judge_setting_id_judge_settings_id_fk" FOREIGN KEY ("judge_setting_id") REFERENCES "public"."judge_settings"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "transcript_messages" ADD CONSTRAINT "transcript_messages_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "transcript_messages" ADD CONSTRAINT "transcript_messages_result_id_results_id_fk" FOREIGN KEY ("result_id") REFERENCES "public"."results"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "judge_settings_tenant_created" ON "judge_settings" USING btree ("tenant_id","created_at","id");--> statement-breakpoint
CREATE UNIQUE INDEX "judge_settings_tenant_name" ON "judge_settings" USING btree ("tenant_id",lower("name"));--> statement-breakpoint
CREATE UNIQUE INDEX "judge_settings_default" ON "judge_settings" USING btree ("tenant_id") WHERE is_default;--> statement-breakpoint
CREATE UNIQUE INDEX "results_run" ON "results" USING btree ("run_id","position");--> statement-breakpoint
CREATE INDEX "results_case" ON "results" USING btree ("test_case_id");--> statement-breakpoint
CREATE INDEX "results_pending" ON "results" USING btree ("run_id","position") WHERE verdict is null;--> statement-breakpoint
CREATE INDEX "runs_unfinished" ON "runs" USING btree ("tenant_id","created_at","id") WHERE status in ('pending', 'running');--> statement-breakpoint
CREATE INDEX "runs_tenant_created" ON "runs" USING btree ("tenant_id","created_at","id");--> statement-breakpoint
CREATE INDEX "runs_suite" ON "runs" USING btree ("suite_id","created_at","id");--> statement-breakpoint
CREATE INDEX "runs_agent" ON "runs" USING btree ("agent_id","created_at","id");--> statement-breakpoint
CREATE INDEX "test_cases_suite" ON "test_cases" USING btree ("tenant_id","suite_id","sort_order","id");--> statement-breakpoint
CREATE UNIQUE INDEX "test_cases_suite_name" ON "test_cases" USING btree ("suite_id",lower("name"));--> statement-breakpoint
CREATE INDEX "test_suites_tenant_created" ON "test_suites" USING btree ("tenant_id","created_at","id");--> statement-breakpoint
CREATE UNIQUE INDEX "test_suites_tenant_name" ON "test_suites" USING btree ("tenant_id",lower("name"));--> statement-breakpoint
ALTER TABLE "agents" ADD CONSTRAINT "agents_judge_setting_id_judge_settings_id_fk" FOREIGN KEY ("judge_setting_id") REFERENCES "public"."judge_settings"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
alter table judge_settings enable row level security;
--> statement-breakpoint
create policy tenant_wall on judge_settings to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select, insert, update, delete on judge_settings to mate_app;
--> statement-breakpoint
alter table test_suites enable row level security;
--> statement-breakpoint
create policy tenant_wall on test_suites to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select, insert, update, delete on test_suites to mate_app;
--> statement-breakpoint
alter table test_cases enable row level security;
--> statement-breakpoint
create policy tenant_wall on test_cases to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select, insert, update, delete on test_cases to mate_app;
--> statement-breakpoint
-- What a run was asked for, and what was said in it, is never changed; it goes with its run.
alter table runs enable row level security;
--> statement-breakpoint
create policy tenant_wall on runs to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select, insert, delete,
  update (status, passed, failed, skipped, errors, average_latency_ms, median_latency_ms, p95_latency_ms, started_at,
    completed_at, error_message)
  on runs to mate_app;
--> statement-breakpoint
alter table results enable row level security;
--> statement-breakpoint
create policy tenant_wall on results to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select, insert,
  update (verdict, scores, overall_score, rationale, latency_ms, executed_at, human_verdict, human_note, human_by_id,
    human_by_name, human_at)
  on results to mate_app;
--> statement-breakpoint
alter table transcript_messages enable row level security;
--> statement-breakpoint
create policy tenant_wall on transcript_messages to mate_app using (tenant_id = (select mate_tenant_id()));
--> statement-breakpoint
grant select, insert on transcript_messages to mate_app;
