BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE api_keys (
	id TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	prefix TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	created DOUBLE NOT NULL, 
	expires DOUBLE, 
	revoked DOUBLE, 
	CONSTRAINT pk_api_keys PRIMARY KEY (id), 
	CONSTRAINT fk_api_keys_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT uq_api_keys_hash UNIQUE (hash)
);
INSERT INTO "api_keys" VALUES('00000000-0000-4000-8000-000000000006','00000000-0000-4000-8000-000000000001','local','tel_abcd','0000000000000000000000000000000000000000000000000000000000000000',1795000000.0,NULL,NULL);
CREATE TABLE artifacts (
	"key" INTEGER NOT NULL, 
	run_key INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	files TEXT NOT NULL, 
	created DOUBLE NOT NULL, 
	CONSTRAINT pk_artifacts PRIMARY KEY ("key"), 
	CONSTRAINT fk_artifacts_run_key FOREIGN KEY(run_key) REFERENCES runs ("key") ON DELETE CASCADE, 
	CONSTRAINT uq_artifacts_run_key_name_version UNIQUE (run_key, name, version)
);
INSERT INTO "artifacts" VALUES(1,1,'model',0,'file','2222222222222222222222222222222222222222222222222222222222222222',3,'[{"path":"a.txt","sha256":"3333333333333333333333333333333333333333333333333333333333333333","size":3}]',1795000000.0);
CREATE TABLE blobs (
	sha256 TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	created DOUBLE NOT NULL, 
	CONSTRAINT pk_blobs PRIMARY KEY (sha256)
);
INSERT INTO "blobs" VALUES('3333333333333333333333333333333333333333333333333333333333333333',3,1795000000.0);
CREATE TABLE calls (
	"key" INTEGER NOT NULL, 
	run_key INTEGER NOT NULL, 
	origin TEXT NOT NULL, 
	job_id TEXT, 
	request_key TEXT NOT NULL, 
	role TEXT NOT NULL, 
	phase TEXT NOT NULL, 
	node TEXT NOT NULL, 
	words TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	host TEXT NOT NULL, 
	model TEXT NOT NULL, 
	source TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	started DOUBLE NOT NULL, 
	seconds DOUBLE NOT NULL, 
	input_tokens INTEGER NOT NULL, 
	output_tokens INTEGER NOT NULL, 
	cached_tokens INTEGER NOT NULL, 
	reasoning_tokens INTEGER NOT NULL, 
	estimated BOOLEAN NOT NULL, 
	usd_pico BIGINT, 
	record BLOB NOT NULL, call_id TEXT, label TEXT, location TEXT, error TEXT, 
	CONSTRAINT pk_calls PRIMARY KEY ("key"), 
	CONSTRAINT fk_calls_run_key FOREIGN KEY(run_key) REFERENCES runs ("key") ON DELETE CASCADE, 
	CONSTRAINT uq_calls_run_key_origin UNIQUE (run_key, origin)
);
INSERT INTO "calls" VALUES(1,1,'client:1','00000000-0000-4000-8000-000000000005','1111111111111111111111111111111111111111111111111111111111111111','forward','train','0','','openai','api.openai.com','gpt-4o-mini','live',1,1795000001.0,0.5,100,20,0,0,0,123000000,X'7B22726F6C65223A22666F7277617264227D',NULL,NULL,NULL,NULL);
CREATE TABLE edges (
	run_key INTEGER NOT NULL, 
	from_call INTEGER NOT NULL, 
	to_call INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	confidence DOUBLE NOT NULL, 
	weak BOOLEAN NOT NULL, 
	alternative BOOLEAN NOT NULL, 
	spans TEXT NOT NULL, 
	CONSTRAINT pk_edges PRIMARY KEY (run_key, to_call, from_call, kind), 
	CONSTRAINT fk_edges_run_key FOREIGN KEY(run_key) REFERENCES runs ("key") ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "edges" VALUES(2,1,2,'content',0.9,0,0,'[]');
CREATE TABLE edits (
	"key" INTEGER NOT NULL, 
	run_key INTEGER NOT NULL, 
	call_id TEXT NOT NULL, 
	field TEXT NOT NULL, 
	path TEXT NOT NULL, 
	value TEXT NOT NULL, 
	created DOUBLE NOT NULL, 
	CONSTRAINT pk_edits PRIMARY KEY ("key"), 
	CONSTRAINT fk_edits_run_key FOREIGN KEY(run_key) REFERENCES runs ("key") ON DELETE CASCADE
);
INSERT INTO "edits" VALUES(1,2,'00000000-0000-4000-8000-000000000006','output','/choices/0/message/content','"yes"',1795000011.0);
CREATE TABLE events (
	"key" INTEGER NOT NULL, 
	run_key INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	time DOUBLE NOT NULL, 
	data TEXT NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY ("key"), 
	CONSTRAINT fk_events_run_key FOREIGN KEY(run_key) REFERENCES runs ("key") ON DELETE CASCADE
);
INSERT INTO "events" VALUES(1,1,'fit_start',1795000000.0,'{}');
CREATE TABLE jobs (
	id TEXT NOT NULL, 
	run_key INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	fence INTEGER NOT NULL, 
	owner TEXT NOT NULL, 
	lease_until DOUBLE NOT NULL, 
	result BLOB, 
	error TEXT, 
	created DOUBLE NOT NULL, 
	updated DOUBLE NOT NULL, 
	ended DOUBLE, 
	CONSTRAINT pk_jobs PRIMARY KEY (id), 
	CONSTRAINT fk_jobs_run_key FOREIGN KEY(run_key) REFERENCES runs ("key") ON DELETE CASCADE
);
INSERT INTO "jobs" VALUES('00000000-0000-4000-8000-000000000005',1,'backward','done',1,'server',1795000000.0,NULL,NULL,1795000000.0,1795000000.0,1795000000.0);
CREATE TABLE journals (
	client_id TEXT NOT NULL, 
	run_key INTEGER NOT NULL, 
	acknowledged BIGINT NOT NULL, 
	updated DOUBLE NOT NULL, 
	CONSTRAINT pk_journals PRIMARY KEY (client_id), 
	CONSTRAINT fk_journals_run_key FOREIGN KEY(run_key) REFERENCES runs ("key") ON DELETE CASCADE
);
INSERT INTO "journals" VALUES('client',1,5,1795000000.0);
CREATE TABLE metrics (
	"key" INTEGER NOT NULL, 
	run_key INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	count INTEGER NOT NULL, 
	last DOUBLE, 
	last_step BIGINT, 
	last_time DOUBLE NOT NULL, 
	min DOUBLE, 
	max DOUBLE, 
	CONSTRAINT pk_metrics PRIMARY KEY ("key"), 
	CONSTRAINT fk_metrics_run_key FOREIGN KEY(run_key) REFERENCES runs ("key") ON DELETE CASCADE, 
	CONSTRAINT uq_metrics_run_key_name UNIQUE (run_key, name)
);
INSERT INTO "metrics" VALUES(1,1,'accuracy',2,0.75,2,1795000002.0,0.5,0.75);
CREATE TABLE namespace_members (
	namespace_id TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	role TEXT NOT NULL, 
	CONSTRAINT pk_namespace_members PRIMARY KEY (namespace_id, user_id), 
	CONSTRAINT fk_namespace_members_namespace_id FOREIGN KEY(namespace_id) REFERENCES namespaces (id) ON DELETE CASCADE, 
	CONSTRAINT fk_namespace_members_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO "namespace_members" VALUES('00000000-0000-4000-8000-000000000002','00000000-0000-4000-8000-000000000001','OWNER');
CREATE TABLE namespaces (
	id TEXT NOT NULL, 
	slug TEXT NOT NULL, 
	display_name TEXT NOT NULL, 
	created DOUBLE NOT NULL, 
	CONSTRAINT pk_namespaces PRIMARY KEY (id), 
	CONSTRAINT uq_namespaces_slug UNIQUE (slug)
);
INSERT INTO "namespaces" VALUES('00000000-0000-4000-8000-000000000002','alice','Alice',1795000000.0);
CREATE TABLE points (
	metric_key INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	step BIGINT, 
	time DOUBLE NOT NULL, 
	value DOUBLE, 
	CONSTRAINT pk_points PRIMARY KEY (metric_key, number), 
	CONSTRAINT fk_points_metric_key FOREIGN KEY(metric_key) REFERENCES metrics ("key") ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "points" VALUES(1,1,1,1795000001.0,0.5);
INSERT INTO "points" VALUES(1,2,2,1795000002.0,0.75);
CREATE TABLE project_members (
	project_id TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	role TEXT NOT NULL, 
	CONSTRAINT pk_project_members PRIMARY KEY (project_id, user_id), 
	CONSTRAINT fk_project_members_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_project_members_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO "project_members" VALUES('00000000-0000-4000-8000-000000000003','00000000-0000-4000-8000-000000000001','OWNER');
CREATE TABLE projects (
	id TEXT NOT NULL, 
	namespace_id TEXT NOT NULL, 
	slug TEXT NOT NULL, 
	display_name TEXT NOT NULL, 
	description TEXT, 
	visibility TEXT NOT NULL, 
	created DOUBLE NOT NULL, 
	updated DOUBLE NOT NULL, 
	last_run DOUBLE, 
	CONSTRAINT pk_projects PRIMARY KEY (id), 
	CONSTRAINT fk_projects_namespace_id FOREIGN KEY(namespace_id) REFERENCES namespaces (id) ON DELETE CASCADE, 
	CONSTRAINT uq_projects_namespace_id_slug UNIQUE (namespace_id, slug)
);
INSERT INTO "projects" VALUES('00000000-0000-4000-8000-000000000003','00000000-0000-4000-8000-000000000002','tickets','Tickets',NULL,'RESTRICTED',1795000000.0,1795000000.0,1795000000.0);
CREATE TABLE prompts (
	"key" INTEGER NOT NULL, 
	run_key INTEGER NOT NULL, 
	parameter TEXT NOT NULL, 
	role TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	value TEXT NOT NULL, 
	status TEXT NOT NULL, 
	reasoning TEXT NOT NULL, 
	gradients TEXT NOT NULL, 
	score_before DOUBLE, 
	score_after DOUBLE, 
	step BIGINT, 
	time DOUBLE NOT NULL, 
	CONSTRAINT pk_prompts PRIMARY KEY ("key"), 
	CONSTRAINT fk_prompts_run_key FOREIGN KEY(run_key) REFERENCES runs ("key") ON DELETE CASCADE, 
	CONSTRAINT uq_prompts_run_key_parameter_version UNIQUE (run_key, parameter, version)
);
INSERT INTO "prompts" VALUES(1,1,'system','system prompt',0,'"Sort the ticket."','initial','','[]',NULL,NULL,NULL,1795000000.0);
CREATE TABLE runs (
	"key" INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	project_id TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	parent_id TEXT, 
	slug TEXT NOT NULL, 
	name TEXT NOT NULL, 
	description TEXT, 
	notes TEXT, 
	status TEXT NOT NULL, 
	reason TEXT, 
	ended_by_client BOOLEAN NOT NULL, 
	config TEXT NOT NULL, 
	tags TEXT NOT NULL, 
	budget TEXT, 
	client TEXT NOT NULL, 
	created DOUBLE NOT NULL, 
	updated DOUBLE NOT NULL, 
	ended DOUBLE, 
	heartbeat DOUBLE NOT NULL, 
	lease DOUBLE NOT NULL, 
	calls INTEGER NOT NULL, 
	reused INTEGER NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	output_tokens BIGINT NOT NULL, 
	usd_pico BIGINT NOT NULL, 
	unpriced INTEGER NOT NULL, kind TEXT DEFAULT 'run' NOT NULL, command TEXT, "indexed" BIGINT DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_runs PRIMARY KEY ("key"), 
	CONSTRAINT fk_runs_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_runs_user_id FOREIGN KEY(user_id) REFERENCES users (id), 
	CONSTRAINT uq_runs_id UNIQUE (id), 
	CONSTRAINT uq_runs_project_id_slug UNIQUE (project_id, slug)
);
INSERT INTO "runs" VALUES(1,'00000000-0000-4000-8000-000000000004','00000000-0000-4000-8000-000000000003','00000000-0000-4000-8000-000000000001',NULL,'hungry-brownie-557','hungry_brownie_557',NULL,NULL,'COMPLETED',NULL,1,'{"lr":0.1}','["first"]',NULL,'{}',1795000000.0,1795000009.0,1795000009.0,1795000009.0,30.0,1,0,100,20,123000000,0,'run',NULL,0);
INSERT INTO "runs" VALUES(2,'00000000-0000-4000-8000-000000000005','00000000-0000-4000-8000-000000000003','00000000-0000-4000-8000-000000000001',NULL,'brave-waffle-12','brave_waffle_12',NULL,NULL,'COMPLETED',NULL,1,'{}','[]',NULL,'{}',1795000010.0,1795000019.0,1795000019.0,1795000019.0,30.0,0,0,0,0,0,0,'recording','{"argv":["agent.py"]}',1);
CREATE TABLE sessions (
	hash TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	created DOUBLE NOT NULL, 
	expires DOUBLE NOT NULL, 
	CONSTRAINT pk_sessions PRIMARY KEY (hash), 
	CONSTRAINT fk_sessions_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO "sessions" VALUES('5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e','00000000-0000-4000-8000-000000000001',1763000000.0,1765592000.0);
CREATE TABLE settings (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_settings PRIMARY KEY (name)
);
INSERT INTO "settings" VALUES('server_id','00000000-0000-4000-8000-000000000000');
CREATE TABLE texts (
	"key" INTEGER NOT NULL, 
	run_key INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	type TEXT NOT NULL, 
	step BIGINT, 
	time DOUBLE NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_texts PRIMARY KEY ("key"), 
	CONSTRAINT fk_texts_run_key FOREIGN KEY(run_key) REFERENCES runs ("key") ON DELETE CASCADE
);
INSERT INTO "texts" VALUES(1,1,'note','text',1,1795000001.0,'"it learns"');
CREATE TABLE users (
	id TEXT NOT NULL, 
	username TEXT NOT NULL, 
	slug TEXT NOT NULL, 
	email TEXT NOT NULL, 
	is_admin BOOLEAN NOT NULL, 
	created DOUBLE NOT NULL, 
	CONSTRAINT pk_users PRIMARY KEY (id), 
	CONSTRAINT uq_users_slug UNIQUE (slug), 
	CONSTRAINT uq_users_username UNIQUE (username)
);
INSERT INTO "users" VALUES('00000000-0000-4000-8000-000000000001','alice','alice','alice@example.org',1,1795000000.0);
CREATE INDEX ix_runs_parent_id_name ON runs (parent_id, name);
CREATE INDEX ix_runs_project_id_key ON runs (project_id, "key");
CREATE INDEX ix_runs_status_heartbeat ON runs (status, heartbeat);
CREATE INDEX ix_calls_job_id ON calls (job_id);
CREATE INDEX ix_calls_run_key_key ON calls (run_key, "key");
CREATE INDEX ix_events_run_key_kind_key ON events (run_key, kind, "key");
CREATE INDEX ix_jobs_run_key ON jobs (run_key);
CREATE INDEX ix_jobs_state_lease_until ON jobs (state, lease_until);
CREATE INDEX ix_journals_run_key ON journals (run_key);
CREATE INDEX ix_metrics_name_last ON metrics (name, last);
CREATE INDEX ix_texts_run_key_name_key ON texts (run_key, name, "key");
CREATE INDEX ix_sessions_user_id_created ON sessions (user_id, created);
CREATE INDEX ix_sessions_expires ON sessions (expires);
CREATE INDEX ix_calls_call_id ON calls (call_id);
CREATE INDEX ix_edits_run_key_key ON edits (run_key, "key");
COMMIT;
