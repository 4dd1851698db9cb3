-- The database of the dialer, with sample data: sqlite3 db.sqlite3 < script.sql
-- Generated from the migrations by `make script`; do not edit.
--
-- Keys are integers and stay inside the service; id is the public UUID (version 7) as its 16 bytes.
-- Times (..._at) are milliseconds since 1970-01-01 UTC, spans (..._s) are seconds.

PRAGMA journal_mode = WAL;
PRAGMA foreign_keys = ON;
BEGIN;

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE users (
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    login TEXT NOT NULL,
    name TEXT NOT NULL,
    -- user sees his own objects, admin sees all
    role TEXT NOT NULL,
    -- argon2id; NULL: cannot log in until a password is set
    password_hash TEXT,
    comment TEXT,
    created_at BIGINT NOT NULL, works_for_key INTEGER, deleted_at BIGINT, former_login TEXT, leaves TEXT, heir_key INTEGER, mfa_required BOOLEAN DEFAULT 0 NOT NULL, mfa_enabled BOOLEAN DEFAULT 0 NOT NULL, max_calls_day INTEGER, max_minutes_day INTEGER,
    CONSTRAINT users_role_known CHECK (role IN ('user', 'admin', 'operator', 'viewer')),
    CONSTRAINT users_id_once UNIQUE (id),
    CONSTRAINT users_login_once UNIQUE (login)
);
CREATE INDEX users_deleted ON users ("key") WHERE deleted_at IS NOT NULL;
CREATE INDEX users_leaving ON users ("key") WHERE leaves IS NOT NULL;
CREATE INDEX users_works_for_key ON users (works_for_key) WHERE works_for_key IS NOT NULL;

CREATE TABLE audit (
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    -- NULL: the service itself, or nobody known
    user_key INTEGER,
    action TEXT NOT NULL,
    object_kind TEXT,
    object_id BLOB,
    details TEXT,
    -- of the client
    address TEXT, times INTEGER DEFAULT 1 NOT NULL, merged_by TEXT,
    CONSTRAINT audit_user_key_there FOREIGN KEY(user_key) REFERENCES users ("key")
);
CREATE INDEX audit_action ON audit (action);
CREATE INDEX audit_at ON audit (at);
CREATE UNIQUE INDEX audit_merged_by ON audit (merged_by) WHERE merged_by IS NOT NULL;
CREATE INDEX audit_user_key ON audit (user_key);
CREATE TRIGGER audit_told AFTER INSERT ON audit
WHEN NEW.action = 'ceilings.reached' AND (
    EXISTS (SELECT 1 FROM webhooks WHERE active AND instr(events, 'ceiling.reached'))
    OR EXISTS (SELECT 1 FROM notices WHERE active AND instr(events, 'ceiling.reached'))
)
BEGIN
    INSERT INTO events (kind, at, campaign_key, object_key)
    VALUES ('ceiling.reached', NEW.at, 0, NEW.key);
END;

CREATE TABLE idempotency_keys (
    "key" INTEGER NOT NULL,
    user_key INTEGER NOT NULL,
    operation TEXT NOT NULL,
    -- as the client sent it
    idempotency_key TEXT NOT NULL,
    -- of the request that made the object
    fingerprint TEXT NOT NULL,
    response_id BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT idempotency_keys_key PRIMARY KEY ("key"),
    CONSTRAINT idempotency_keys_user_key_there FOREIGN KEY(user_key) REFERENCES users ("key") ON DELETE CASCADE,
    CONSTRAINT idempotency_keys_user_key_operation_idempotency_key_once UNIQUE (user_key, operation, idempotency_key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

CREATE TABLE token_families (
    -- one log-in: the access tokens and the chain of refresh tokens that came of it
    "key" INTEGER NOT NULL,
    id BLOB NOT NULL,
    user_key INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    -- of its newest refresh token
    expires_at BIGINT NOT NULL,
    -- NULL: its access tokens are good
    revoked_at BIGINT, scope TEXT, last_used_at BIGINT, address TEXT, program TEXT,
    CONSTRAINT token_families_key PRIMARY KEY ("key"),
    CONSTRAINT token_families_user_key_there FOREIGN KEY(user_key) REFERENCES users ("key") ON DELETE CASCADE,
    CONSTRAINT token_families_id_once UNIQUE (id)
);
CREATE INDEX token_families_expires_at ON token_families (expires_at);
CREATE INDEX token_families_user_key ON token_families (user_key);

CREATE TABLE refresh_tokens (
    "key" INTEGER NOT NULL,
    family_key INTEGER NOT NULL,
    -- SHA-256; the token itself is not kept
    token_hash BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    -- a second use revokes the family
    used_at BIGINT,
    CONSTRAINT refresh_tokens_key PRIMARY KEY ("key"),
    CONSTRAINT refresh_tokens_family_key_there FOREIGN KEY(family_key) REFERENCES token_families ("key") ON DELETE CASCADE,
    CONSTRAINT refresh_tokens_token_hash_once UNIQUE (token_hash)
);
CREATE INDEX refresh_tokens_family_key ON refresh_tokens (family_key);

CREATE TABLE callbases (
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    owner_key INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- ISO 3166 country, or raw: numbers are dialled as written
    region TEXT NOT NULL,
    timezone TEXT,
    -- importing -> ready | failed
    -- ready (final)
    -- failed (final)
    state TEXT DEFAULT 'importing' NOT NULL,
    -- of the file, without its header
    rows INTEGER DEFAULT 0 NOT NULL,
    rows_done INTEGER DEFAULT 0 NOT NULL,
    -- exactly the number of its rows in subscribers
    imported INTEGER DEFAULT 0 NOT NULL,
    duplicates INTEGER DEFAULT 0 NOT NULL,
    rejected INTEGER DEFAULT 0 NOT NULL,
    error TEXT,
    -- behind a sample call; no list shows it
    hidden BOOLEAN DEFAULT 0 NOT NULL,
    created_at BIGINT NOT NULL,
    -- the row stays for the campaigns that called it, its subscribers are erased
    deleted_at BIGINT, reading TEXT, doubtful INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT callbases_state_known CHECK (state IN ('importing', 'ready', 'failed')),
    CONSTRAINT callbases_owner_key_there FOREIGN KEY(owner_key) REFERENCES users ("key"),
    CONSTRAINT callbases_id_once UNIQUE (id)
);
CREATE INDEX callbases_owner_key ON callbases (owner_key);
CREATE INDEX callbases_shown ON callbases (owner_key) WHERE hidden = 0;
CREATE TRIGGER callbases_state BEFORE UPDATE OF state ON callbases
WHEN NOT (
    NEW.state = OLD.state
    OR OLD.state = 'importing' AND NEW.state IN ('ready', 'failed')
)
BEGIN
    SELECT RAISE(ABORT, 'callbases.state: there is no such transition');
END;
CREATE TRIGGER callbases_told AFTER UPDATE OF state ON callbases
WHEN NEW.state <> OLD.state AND NOT NEW.hidden AND (
    EXISTS (SELECT 1 FROM webhooks WHERE active AND instr(events, 'import.ended'))
    OR EXISTS (SELECT 1 FROM notices WHERE active AND instr(events, 'import.ended'))
)
BEGIN
    INSERT INTO events (kind, at, campaign_key, object_key, details)
    VALUES (
        'import.ended', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 0, NEW.key,
        json_object('into', 'callbase')
    );
END;

CREATE TABLE dnc (
    "key" INTEGER NOT NULL,
    owner_key INTEGER NOT NULL,
    -- never dialled, whoever entered it
    number TEXT NOT NULL,
    source TEXT NOT NULL,
    comment TEXT,
    created_at BIGINT NOT NULL, for_everybody BOOLEAN DEFAULT 0 NOT NULL,
    CONSTRAINT dnc_key PRIMARY KEY ("key"),
    CONSTRAINT dnc_owner_key_there FOREIGN KEY(owner_key) REFERENCES users ("key"),
    CONSTRAINT dnc_number_owner_key_once UNIQUE (number, owner_key)
);
CREATE INDEX dnc_for_everybody ON dnc ("key") WHERE for_everybody = 1;
CREATE INDEX dnc_owner_key ON dnc (owner_key);
CREATE TRIGGER dnc_told AFTER INSERT ON dnc
WHEN NEW.source GLOB 'opt_out:*' AND EXISTS (
    SELECT 1 FROM webhooks WHERE owner_key = NEW.owner_key AND active AND instr(events, 'opt_out')
)
BEGIN
    INSERT INTO events (kind, at, campaign_key, object_key)
    VALUES ('opt_out', NEW.created_at, 0, NEW.key);
END;

CREATE TABLE sounds (
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    owner_key INTEGER NOT NULL,
    name TEXT NOT NULL,
    duration_s FLOAT NOT NULL,
    peak_dbfs FLOAT NOT NULL,
    loudness_lufs FLOAT,
    -- Hz, of the file as it came
    sample_rate INTEGER NOT NULL,
    -- of the file as it came
    channels INTEGER NOT NULL,
    -- relative to the data folder; .alaw and .ulaw beside it
    path TEXT NOT NULL,
    original_path TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- the row stays for the campaigns that played it
    deleted_at BIGINT, gain_db FLOAT, warnings TEXT,
    CONSTRAINT sounds_owner_key_there FOREIGN KEY(owner_key) REFERENCES users ("key"),
    CONSTRAINT sounds_id_once UNIQUE (id)
);
CREATE INDEX sounds_owner_key ON sounds (owner_key);

CREATE TABLE trunks (
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    owner_key INTEGER NOT NULL,
    name TEXT NOT NULL,
    host TEXT NOT NULL,
    -- NULL: the default of the transport
    port INTEGER,
    transport TEXT NOT NULL,
    username TEXT NOT NULL,
    -- AES-256-GCM; NULL: none, or the trunk is deleted
    password BLOB,
    -- NULL: username
    auth_username TEXT,
    -- NULL: host
    domain TEXT,
    -- NULL: username
    caller_id TEXT,
    -- template over {e164} and {national}
    number_format TEXT NOT NULL,
    max_channels INTEGER NOT NULL,
    cps FLOAT NOT NULL,
    -- in the order of the offer, with commas between
    codecs TEXT NOT NULL,
    -- made by a sample call of the prototype; no list shows it
    hidden BOOLEAN DEFAULT 0 NOT NULL,
    created_at BIGINT NOT NULL,
    -- the row stays for the calls that went through it
    deleted_at BIGINT, ca_file TEXT, outbound_proxy TEXT, register BOOLEAN DEFAULT 0 NOT NULL, caller_id_header TEXT DEFAULT 'from' NOT NULL, symmetric_rtp BOOLEAN DEFAULT 1 NOT NULL, stun_server TEXT, media_ports TEXT DEFAULT 'per_call' NOT NULL, price_per_min FLOAT, strict_source BOOLEAN DEFAULT 1 NOT NULL, backup_host TEXT, extra_headers TEXT DEFAULT '' NOT NULL, media_encryption TEXT DEFAULT 'none' NOT NULL, allowed_countries TEXT, allowed_special TEXT DEFAULT '' NOT NULL, max_calls_day INTEGER, max_minutes_day INTEGER, caller_ids TEXT,
    CONSTRAINT trunks_owner_key_there FOREIGN KEY(owner_key) REFERENCES users ("key"),
    CONSTRAINT trunks_id_once UNIQUE (id)
);
CREATE INDEX trunks_owner_key ON trunks (owner_key);

CREATE TABLE rejected_rows (
    "key" INTEGER NOT NULL,
    callbase_key INTEGER NOT NULL,
    -- of the file, as a spreadsheet counts
    "row" INTEGER NOT NULL,
    value TEXT NOT NULL,
    reason TEXT NOT NULL, column_name TEXT,
    CONSTRAINT rejected_rows_key PRIMARY KEY ("key"),
    CONSTRAINT rejected_rows_callbase_key_there FOREIGN KEY(callbase_key) REFERENCES callbases ("key")
);
CREATE INDEX rejected_rows_callbase_key ON rejected_rows (callbase_key);

CREATE TABLE subscribers (
    "key" INTEGER NOT NULL,
    id BLOB NOT NULL,
    callbase_key INTEGER NOT NULL,
    -- E.164 with the plus, or as written in a raw callbase; NULL: erased
    number TEXT,
    name TEXT,
    comment TEXT,
    timezone TEXT,
    -- JSON: the columns that have no field of their own
    extra TEXT, second_number TEXT, number_zone TEXT, number_zone_by TEXT, doubt TEXT, deleted_at BIGINT, destination TEXT, consent_source TEXT, consent_at TEXT, consent_text TEXT,
    CONSTRAINT subscribers_key PRIMARY KEY ("key"),
    CONSTRAINT subscribers_callbase_key_there FOREIGN KEY(callbase_key) REFERENCES callbases ("key"),
    CONSTRAINT subscribers_callbase_key_number_once UNIQUE (callbase_key, number),
    CONSTRAINT subscribers_id_once UNIQUE (id)
);
CREATE INDEX subscribers_callbase_key ON subscribers (callbase_key);
CREATE INDEX subscribers_doubtful ON subscribers (callbase_key) WHERE doubt IS NOT NULL;
CREATE INDEX subscribers_second_number ON subscribers (callbase_key, second_number) WHERE second_number IS NOT NULL;
CREATE TRIGGER subscribers_destination_counted AFTER INSERT ON subscribers
WHEN NEW.number IS NOT NULL
BEGIN
    INSERT INTO callbase_destinations (callbase_key, destination, subscribers)
    VALUES (NEW.callbase_key, COALESCE(NEW.destination, ''), 1)
    ON CONFLICT (callbase_key, destination) DO UPDATE SET subscribers = subscribers + 1;
END;
CREATE TRIGGER subscribers_destination_deleted AFTER DELETE ON subscribers
WHEN OLD.number IS NOT NULL
BEGIN
    UPDATE callbase_destinations SET subscribers = subscribers - 1
    WHERE callbase_key = OLD.callbase_key AND destination = COALESCE(OLD.destination, '');
END;
CREATE TRIGGER subscribers_destination_recounted
AFTER UPDATE OF number, destination ON subscribers
WHEN OLD.number IS NOT NULL
BEGIN
    UPDATE callbase_destinations SET subscribers = subscribers - 1
    WHERE callbase_key = OLD.callbase_key AND destination = COALESCE(OLD.destination, '');
    INSERT INTO callbase_destinations (callbase_key, destination, subscribers)
    SELECT NEW.callbase_key, COALESCE(NEW.destination, ''), 1 WHERE NEW.number IS NOT NULL
    ON CONFLICT (callbase_key, destination) DO UPDATE SET subscribers = subscribers + 1;
END;
CREATE TRIGGER subscribers_zone_counted AFTER INSERT ON subscribers
WHEN NEW.number IS NOT NULL
BEGIN
    INSERT INTO callbase_zones (callbase_key, zone, found_by, subscribers)
    VALUES (
        NEW.callbase_key, COALESCE(NEW.timezone, NEW.number_zone, ''),
        CASE WHEN NEW.timezone IS NOT NULL THEN 'column' ELSE COALESCE(NEW.number_zone_by, '') END, 1
    )
    ON CONFLICT (callbase_key, zone, found_by) DO UPDATE SET subscribers = subscribers + 1;
END;
CREATE TRIGGER subscribers_zone_deleted AFTER DELETE ON subscribers
WHEN OLD.number IS NOT NULL
BEGIN
    UPDATE callbase_zones SET subscribers = subscribers - 1
    WHERE callbase_key = OLD.callbase_key AND zone = COALESCE(OLD.timezone, OLD.number_zone, '')
        AND found_by = CASE WHEN OLD.timezone IS NOT NULL THEN 'column' ELSE COALESCE(OLD.number_zone_by, '') END;
END;
CREATE TRIGGER subscribers_zone_forgotten AFTER UPDATE OF number ON subscribers
WHEN OLD.number IS NOT NULL AND NEW.number IS NULL
BEGIN
    UPDATE callbase_zones SET subscribers = subscribers - 1
    WHERE callbase_key = OLD.callbase_key AND zone = COALESCE(OLD.timezone, OLD.number_zone, '')
        AND found_by = CASE WHEN OLD.timezone IS NOT NULL THEN 'column' ELSE COALESCE(OLD.number_zone_by, '') END;
END;
CREATE TRIGGER subscribers_zone_moved
AFTER UPDATE OF timezone, number_zone, number_zone_by ON subscribers
WHEN OLD.number IS NOT NULL AND NEW.number IS NOT NULL
BEGIN
    UPDATE callbase_zones SET subscribers = subscribers - 1
    WHERE callbase_key = OLD.callbase_key AND zone = COALESCE(OLD.timezone, OLD.number_zone, '')
        AND found_by = CASE WHEN OLD.timezone IS NOT NULL THEN 'column' ELSE COALESCE(OLD.number_zone_by, '') END;
    INSERT INTO callbase_zones (callbase_key, zone, found_by, subscribers)
    VALUES (
        NEW.callbase_key, COALESCE(NEW.timezone, NEW.number_zone, ''),
        CASE WHEN NEW.timezone IS NOT NULL THEN 'column' ELSE COALESCE(NEW.number_zone_by, '') END, 1
    )
    ON CONFLICT (callbase_key, zone, found_by) DO UPDATE SET subscribers = subscribers + 1;
END;

CREATE TABLE dialers (
    instance TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL, vitals TEXT,
    CONSTRAINT dialers_key PRIMARY KEY (instance)
);

CREATE TABLE campaigns (
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    owner_key INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- draft -> running
    -- running -> paused | finished | stopped
    -- paused -> running | stopped
    -- finished (final)
    -- stopped (final)
    state TEXT DEFAULT 'draft' NOT NULL,
    sound_key INTEGER NOT NULL,
    callbase_key INTEGER NOT NULL,
    -- NULL: the trunk's
    caller_id TEXT,
    max_channels INTEGER,
    cps FLOAT,
    ring_timeout_s FLOAT NOT NULL,
    max_call_s FLOAT NOT NULL,
    lead_in_ms INTEGER,
    max_attempts INTEGER NOT NULL,
    min_played_s FLOAT,
    -- JSON: {"busy": {"after_s": 300, "times": 3}, ...}
    retry TEXT,
    -- behind a sample call; no list shows it
    hidden BOOLEAN DEFAULT 0 NOT NULL,
    -- how far the callbase has been walked: subscribers up to this key are in campaign_subscribers
    next_subscriber_key INTEGER DEFAULT 0 NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    -- also when it was stopped
    finished_at BIGINT,
    -- subscribers of the callbase when the campaign ended; NULL: it has not
    final_total INTEGER, cap_day INTEGER, cap_week INTEGER, keys TEXT, transfer_to TEXT, key_wait_s FLOAT, moved_at BIGINT, moved_by TEXT, calling_window TEXT, holidays TEXT, starts_at BIGINT, ends_at BIGINT, after_failed_transfer TEXT DEFAULT 'continue' NOT NULL, dial_doubtful BOOLEAN DEFAULT 0 NOT NULL, archived_at BIGINT, deleted_at BIGINT, drawn_from INTEGER, drawn_by TEXT, drawn_up_to INTEGER, drawn_people INTEGER, pause_after INTEGER, people_called INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT campaigns_state_known CHECK (state IN ('draft', 'running', 'paused', 'finished', 'stopped')),
    CONSTRAINT campaigns_callbase_key_there FOREIGN KEY(callbase_key) REFERENCES callbases ("key"),
    CONSTRAINT campaigns_owner_key_there FOREIGN KEY(owner_key) REFERENCES users ("key"),
    CONSTRAINT campaigns_sound_key_there FOREIGN KEY(sound_key) REFERENCES sounds ("key"),
    CONSTRAINT campaigns_id_once UNIQUE (id)
);
CREATE INDEX campaigns_callbase_key ON campaigns (callbase_key);
CREATE INDEX campaigns_deleted ON campaigns ("key") WHERE deleted_at IS NOT NULL;
CREATE INDEX campaigns_drawing ON campaigns ("key") WHERE drawn_up_to IS NOT NULL;
CREATE INDEX campaigns_owner_key ON campaigns (owner_key);
CREATE INDEX campaigns_running ON campaigns ("key") WHERE state = 'running';
CREATE INDEX campaigns_shown ON campaigns (owner_key) WHERE hidden = 0;
CREATE INDEX campaigns_sound_key ON campaigns (sound_key);
CREATE TRIGGER campaigns_handed_over AFTER UPDATE OF owner_key ON campaigns
WHEN NEW.owner_key <> OLD.owner_key
BEGIN
    UPDATE calls SET owner_key = NEW.owner_key WHERE campaign_key = NEW.key;
END;
CREATE TRIGGER campaigns_state BEFORE UPDATE OF state ON campaigns
WHEN NOT (
    NEW.state = OLD.state
    OR OLD.state = 'draft' AND NEW.state IN ('running')
    OR OLD.state = 'running' AND NEW.state IN ('paused', 'finished', 'stopped')
    OR OLD.state = 'paused' AND NEW.state IN ('running', 'stopped')
)
BEGIN
    SELECT RAISE(ABORT, 'campaigns.state: there is no such transition');
END;
CREATE TRIGGER campaigns_told AFTER UPDATE OF state ON campaigns
WHEN NEW.state <> OLD.state AND NOT NEW.hidden AND (
    EXISTS (SELECT 1 FROM webhooks WHERE campaign_key = NEW.key AND active AND instr(events, 'campaign.state'))
    OR EXISTS (
        SELECT 1 FROM webhooks
        WHERE owner_key = NEW.owner_key AND campaign_key IS NULL AND active AND instr(events, 'campaign.state')
    )
    OR EXISTS (SELECT 1 FROM notices WHERE owner_key = NEW.owner_key AND active AND instr(events, 'campaign.state'))
)
BEGIN
    INSERT INTO events (kind, at, campaign_key, object_key, details)
    VALUES (
        'campaign.state', COALESCE(NEW.finished_at, NEW.moved_at, NEW.started_at, NEW.created_at), NEW.key, NEW.key,
        json_object(
            'state', NEW.state, 'before', OLD.state,
            'by', CASE WHEN NEW.state <> 'finished' THEN NEW.moved_by END
        )
    );
END;

CREATE TABLE trunk_status (
    -- live state, written by the dialer at most once a second
    trunk_key INTEGER NOT NULL,
    -- closed, resting or probing
    breaker_state TEXT NOT NULL,
    breaker_until BIGINT,
    breaker_cause TEXT,
    -- off: the trunk does not register
    registration_state TEXT NOT NULL,
    registration_since BIGINT,
    registration_error TEXT,
    active_calls INTEGER DEFAULT 0 NOT NULL,
    written_at BIGINT NOT NULL,
    CONSTRAINT trunk_status_key PRIMARY KEY (trunk_key),
    CONSTRAINT trunk_status_trunk_key_there FOREIGN KEY(trunk_key) REFERENCES trunks ("key") ON DELETE CASCADE
);
CREATE TRIGGER trunk_status_told AFTER INSERT ON trunk_status
WHEN COALESCE(CASE
        WHEN NEW.breaker_state <> 'closed' THEN 'resting'
        WHEN NEW.registration_state = 'failed' THEN 'not_registered'
        WHEN NEW.registration_state = 'registered' THEN 'working'
        WHEN NEW.registration_state = 'off' AND NOT (SELECT register FROM trunks WHERE key = NEW.trunk_key)
            THEN 'working'
    END, '') NOT IN (
    '', COALESCE((SELECT state FROM trunk_told WHERE trunk_key = NEW.trunk_key), 'working')
)
BEGIN
    INSERT INTO trunk_told (trunk_key, state) VALUES (NEW.trunk_key, CASE
        WHEN NEW.breaker_state <> 'closed' THEN 'resting'
        WHEN NEW.registration_state = 'failed' THEN 'not_registered'
        WHEN NEW.registration_state = 'registered' THEN 'working'
        WHEN NEW.registration_state = 'off' AND NOT (SELECT register FROM trunks WHERE key = NEW.trunk_key)
            THEN 'working'
    END)
    ON CONFLICT (trunk_key) DO UPDATE SET state = excluded.state;
    INSERT INTO events (kind, at, campaign_key, object_key, details)
    SELECT 'trunk.state', NEW.written_at, 0, NEW.trunk_key,
        json_object(
            'state', CASE
        WHEN NEW.breaker_state <> 'closed' THEN 'resting'
        WHEN NEW.registration_state = 'failed' THEN 'not_registered'
        WHEN NEW.registration_state = 'registered' THEN 'working'
        WHEN NEW.registration_state = 'off' AND NOT (SELECT register FROM trunks WHERE key = NEW.trunk_key)
            THEN 'working'
    END, 'cause', COALESCE(NEW.breaker_cause, NEW.registration_error), 'until', NEW.breaker_until
        )
    WHERE EXISTS (SELECT 1 FROM webhooks WHERE active AND instr(events, 'trunk.state'))
        OR EXISTS (SELECT 1 FROM notices WHERE active AND instr(events, 'trunk.state'));
END;
CREATE TRIGGER trunk_status_told_again AFTER UPDATE OF breaker_state, registration_state ON trunk_status
WHEN COALESCE(CASE
        WHEN NEW.breaker_state <> 'closed' THEN 'resting'
        WHEN NEW.registration_state = 'failed' THEN 'not_registered'
        WHEN NEW.registration_state = 'registered' THEN 'working'
        WHEN NEW.registration_state = 'off' AND NOT (SELECT register FROM trunks WHERE key = NEW.trunk_key)
            THEN 'working'
    END, '') NOT IN (
    '', COALESCE((SELECT state FROM trunk_told WHERE trunk_key = NEW.trunk_key), 'working')
)
BEGIN
    INSERT INTO trunk_told (trunk_key, state) VALUES (NEW.trunk_key, CASE
        WHEN NEW.breaker_state <> 'closed' THEN 'resting'
        WHEN NEW.registration_state = 'failed' THEN 'not_registered'
        WHEN NEW.registration_state = 'registered' THEN 'working'
        WHEN NEW.registration_state = 'off' AND NOT (SELECT register FROM trunks WHERE key = NEW.trunk_key)
            THEN 'working'
    END)
    ON CONFLICT (trunk_key) DO UPDATE SET state = excluded.state;
    INSERT INTO events (kind, at, campaign_key, object_key, details)
    SELECT 'trunk.state', NEW.written_at, 0, NEW.trunk_key,
        json_object(
            'state', CASE
        WHEN NEW.breaker_state <> 'closed' THEN 'resting'
        WHEN NEW.registration_state = 'failed' THEN 'not_registered'
        WHEN NEW.registration_state = 'registered' THEN 'working'
        WHEN NEW.registration_state = 'off' AND NOT (SELECT register FROM trunks WHERE key = NEW.trunk_key)
            THEN 'working'
    END, 'cause', COALESCE(NEW.breaker_cause, NEW.registration_error), 'until', NEW.breaker_until
        )
    WHERE EXISTS (SELECT 1 FROM webhooks WHERE active AND instr(events, 'trunk.state'))
        OR EXISTS (SELECT 1 FROM notices WHERE active AND instr(events, 'trunk.state'));
END;

CREATE TABLE calls (
    -- the CDR: one row a finished call
    "key" INTEGER NOT NULL,
    id BLOB NOT NULL,
    campaign_key INTEGER NOT NULL,
    subscriber_key INTEGER NOT NULL,
    trunk_key INTEGER,
    -- of the subscriber at the time
    number TEXT NOT NULL,
    -- 1 for the first call; a cancelled call does not count
    attempt INTEGER NOT NULL,
    disposition TEXT NOT NULL,
    cause TEXT,
    sip_code INTEGER,
    sip_reason TEXT,
    q850_cause INTEGER,
    retry_after_s FLOAT,
    invited_at BIGINT NOT NULL,
    ringing_at BIGINT,
    answered_at BIGINT,
    ended_at BIGINT NOT NULL,
    -- INVITE to first 18x
    pdd_s FLOAT,
    -- INVITE to end
    duration_s FLOAT NOT NULL,
    -- answer to end
    billsec_s FLOAT NOT NULL,
    -- how much of the sound left as RTP
    played_s FLOAT NOT NULL,
    played_share FLOAT NOT NULL,
    digits TEXT NOT NULL,
    -- NULL unless answered
    ended_by TEXT,
    -- NULL: there was no RTP session
    rtp_sent INTEGER,
    rtp_received INTEGER,
    rtp_lost INTEGER,
    rtp_jitter_ms FLOAT,
    rtp_one_way_audio BOOLEAN,
    message TEXT,
    -- NULL: no further attempt
    next_at BIGINT,
    -- the rule that made the next attempt, or ended them
    next_rule TEXT NOT NULL, rtp_remote_lost INTEGER, rtp_round_trip_ms FLOAT, digit_times TEXT, key_results TEXT, rtp_strangers INTEGER, rtp_reports INTEGER, refusal_headers TEXT, rtp_encryption TEXT, owner_key INTEGER, consent_source TEXT, consent_at TEXT, consent_text TEXT,
    CONSTRAINT calls_key PRIMARY KEY ("key"),
    CONSTRAINT calls_cause_known CHECK (cause IN ('auth_failed', 'forbidden', 'media_failed', 'no_response', 'redirected', 'transport_error', 'protocol_error', 'trunk_limit', 'internal_error')),
    CONSTRAINT calls_disposition_known CHECK (disposition IN ('answered', 'machine', 'busy', 'no_answer', 'rejected', 'invalid_number', 'congestion', 'failed', 'cancelled', 'interrupted')),
    CONSTRAINT calls_ended_by_known CHECK (ended_by IN ('callee', 'us')),
    CONSTRAINT calls_campaign_key_there FOREIGN KEY(campaign_key) REFERENCES campaigns ("key"),
    CONSTRAINT calls_trunk_key_there FOREIGN KEY(trunk_key) REFERENCES trunks ("key"),
    CONSTRAINT calls_id_once UNIQUE (id)
);
CREATE INDEX calls_campaign_key ON calls (campaign_key);
CREATE INDEX calls_campaign_key_disposition ON calls (campaign_key, disposition);
CREATE INDEX calls_campaign_key_invited_at ON calls (campaign_key, invited_at);
CREATE INDEX calls_campaign_key_subscriber_key ON calls (campaign_key, subscriber_key);
CREATE INDEX calls_number_invited_at ON calls (number, invited_at);
CREATE INDEX calls_owner_key_invited_at ON calls (owner_key, invited_at);
CREATE TRIGGER calls_counted AFTER INSERT ON calls
BEGIN
    INSERT INTO call_counts (campaign_key, hour_at, trunk_key, disposition, calls, billsec_ms, played_share_ppm)
    VALUES (
        NEW.campaign_key, NEW.invited_at / 3600000 * 3600000, COALESCE(NEW.trunk_key, 0), NEW.disposition,
        1, CAST(ROUND(NEW.billsec_s * 1000) AS INTEGER), CAST(ROUND(NEW.played_share * 1000000) AS INTEGER)
    )
    ON CONFLICT (campaign_key, disposition, hour_at, trunk_key) DO UPDATE SET
        calls = calls + 1,
        billsec_ms = billsec_ms + excluded.billsec_ms,
        played_share_ppm = played_share_ppm + excluded.played_share_ppm;
    INSERT INTO call_spreads (campaign_key, figure, value, calls)
    SELECT NEW.campaign_key, 'pdd', CAST(ROUND(NEW.pdd_s * 100) AS INTEGER), 1 WHERE NEW.pdd_s IS NOT NULL
    ON CONFLICT (campaign_key, figure, value) DO UPDATE SET calls = calls + 1;
    INSERT INTO call_spreads (campaign_key, figure, value, calls)
    SELECT NEW.campaign_key, 'listened', CAST(NEW.played_s AS INTEGER), 1 WHERE NEW.disposition = 'answered'
    ON CONFLICT (campaign_key, figure, value) DO UPDATE SET calls = calls + 1;
END;
CREATE TRIGGER calls_digits_counted AFTER INSERT ON calls
WHEN NEW.digits <> ''
BEGIN
    INSERT INTO call_spreads (campaign_key, figure, value, calls)
    SELECT NEW.campaign_key, 'digit', unicode(column1), 1
    FROM (VALUES ('0'), ('1'), ('2'), ('3'), ('4'), ('5'), ('6'), ('7'), ('8'), ('9'), ('*'), ('#'),
        ('A'), ('B'), ('C'), ('D'))
    WHERE instr(NEW.digits, column1)
    ON CONFLICT (campaign_key, figure, value) DO UPDATE SET calls = calls + 1;
END;
CREATE TRIGGER calls_keys_tallied AFTER INSERT ON calls
WHEN NEW.digits <> ''
BEGIN
    INSERT INTO key_tallies (campaign_key, quarter_at, digit, calls, people)
    SELECT NEW.campaign_key, NEW.invited_at / 900000 * 900000, column1, 1, NOT EXISTS (
        SELECT 1 FROM calls
        WHERE campaign_key = NEW.campaign_key AND subscriber_key = NEW.subscriber_key AND key <> NEW.key
            AND instr(digits, column1)
    )
    FROM (VALUES ('0'), ('1'), ('2'), ('3'), ('4'), ('5'), ('6'), ('7'), ('8'), ('9'), ('*'), ('#'),
        ('A'), ('B'), ('C'), ('D'))
    WHERE instr(NEW.digits, column1)
    ON CONFLICT (campaign_key, quarter_at, digit) DO UPDATE SET
        calls = calls + 1, people = people + excluded.people;
END;
CREATE TRIGGER calls_tallied AFTER INSERT ON calls
BEGIN
    INSERT INTO call_tallies (
        campaign_key, quarter_at, zone, trunk_key, caller_id, disposition,
        calls,
        billsec_ms,
        rang,
        answered,
        heard_25,
        heard_50,
        heard_75,
        heard_95,
        dead,
        early_hang_ups,
        sip_603,
        sip_607,
        sip_608,
        people_called,
        people_rang,
        people_answered,
        people_heard_25,
        people_heard_50,
        people_heard_75,
        people_heard_95,
        people_dead
    )
    SELECT
        NEW.campaign_key, NEW.invited_at / 900000 * 900000,
        COALESCE((SELECT COALESCE(timezone, number_zone) FROM subscribers WHERE key = NEW.subscriber_key), ''),
        COALESCE(NEW.trunk_key, 0),
        COALESCE(
            (SELECT NULLIF(caller_id, '') FROM campaigns WHERE key = NEW.campaign_key),
            (SELECT COALESCE(NULLIF(caller_id, ''), username) FROM trunks WHERE key = NEW.trunk_key), ''
        ),
        NEW.disposition,
        1,
        CAST(ROUND(NEW.billsec_s * 1000) AS INTEGER),
        (NEW.ringing_at IS NOT NULL OR NEW.disposition IN ('answered', 'machine')),
        (NEW.disposition IN ('answered', 'machine')),
        (NEW.disposition = 'answered' AND NEW.played_share > 0.25),
        (NEW.disposition = 'answered' AND NEW.played_share > 0.5),
        (NEW.disposition = 'answered' AND NEW.played_share > 0.75),
        (NEW.disposition = 'answered' AND NEW.played_share > 0.95),
        (COALESCE(NEW.sip_code, 0) IN (404, 410, 484, 604)),
        (NEW.disposition = 'answered' AND NEW.ended_by IS 'callee' AND NEW.billsec_s < 3),
        (NEW.sip_code IS 603),
        (NEW.sip_code IS 607),
        (NEW.sip_code IS 608),
        earlier.called = 0,
        (NEW.ringing_at IS NOT NULL OR NEW.disposition IN ('answered', 'machine')) AND earlier.rang = 0,
        (NEW.disposition IN ('answered', 'machine')) AND earlier.answered = 0,
        (NEW.disposition = 'answered' AND NEW.played_share > 0.25) AND earlier.heard_25 = 0,
        (NEW.disposition = 'answered' AND NEW.played_share > 0.5) AND earlier.heard_50 = 0,
        (NEW.disposition = 'answered' AND NEW.played_share > 0.75) AND earlier.heard_75 = 0,
        (NEW.disposition = 'answered' AND NEW.played_share > 0.95) AND earlier.heard_95 = 0,
        (COALESCE(NEW.sip_code, 0) IN (404, 410, 484, 604)) AND earlier.dead = 0
    FROM (SELECT COUNT(*) AS called,
        COALESCE(MAX(calls.ringing_at IS NOT NULL OR calls.disposition IN ('answered', 'machine')), 0) AS rang,
        COALESCE(MAX(calls.disposition IN ('answered', 'machine')), 0) AS answered,
        COALESCE(MAX(calls.disposition = 'answered' AND calls.played_share > 0.25), 0) AS heard_25,
        COALESCE(MAX(calls.disposition = 'answered' AND calls.played_share > 0.5), 0) AS heard_50,
        COALESCE(MAX(calls.disposition = 'answered' AND calls.played_share > 0.75), 0) AS heard_75,
        COALESCE(MAX(calls.disposition = 'answered' AND calls.played_share > 0.95), 0) AS heard_95,
        COALESCE(MAX(COALESCE(calls.sip_code, 0) IN (404, 410, 484, 604)), 0) AS dead
        FROM calls
        WHERE campaign_key = NEW.campaign_key AND subscriber_key = NEW.subscriber_key AND key <> NEW.key) AS earlier
    WHERE true
    ON CONFLICT (campaign_key, quarter_at, zone, trunk_key, caller_id, disposition) DO UPDATE SET
        calls = calls + excluded.calls,
        billsec_ms = billsec_ms + excluded.billsec_ms,
        rang = rang + excluded.rang,
        answered = answered + excluded.answered,
        heard_25 = heard_25 + excluded.heard_25,
        heard_50 = heard_50 + excluded.heard_50,
        heard_75 = heard_75 + excluded.heard_75,
        heard_95 = heard_95 + excluded.heard_95,
        dead = dead + excluded.dead,
        early_hang_ups = early_hang_ups + excluded.early_hang_ups,
        sip_603 = sip_603 + excluded.sip_603,
        sip_607 = sip_607 + excluded.sip_607,
        sip_608 = sip_608 + excluded.sip_608,
        people_called = people_called + excluded.people_called,
        people_rang = people_rang + excluded.people_rang,
        people_answered = people_answered + excluded.people_answered,
        people_heard_25 = people_heard_25 + excluded.people_heard_25,
        people_heard_50 = people_heard_50 + excluded.people_heard_50,
        people_heard_75 = people_heard_75 + excluded.people_heard_75,
        people_heard_95 = people_heard_95 + excluded.people_heard_95,
        people_dead = people_dead + excluded.people_dead;
END;
CREATE TRIGGER calls_told AFTER INSERT ON calls
WHEN EXISTS (
    SELECT 1 FROM webhooks WHERE campaign_key = NEW.campaign_key AND active AND instr(events, 'call.ended')
) OR EXISTS (
    SELECT 1 FROM webhooks
    WHERE owner_key = (SELECT owner_key FROM campaigns WHERE key = NEW.campaign_key)
        AND campaign_key IS NULL AND active AND instr(events, 'call.ended')
)
BEGIN
    INSERT INTO events (kind, at, campaign_key, object_key)
    VALUES ('call.ended', NEW.ended_at, NEW.campaign_key, NEW.key);
END;

CREATE TABLE campaign_subscribers (
    -- a subscriber within a campaign, from the moment the campaign's walk came to it
    campaign_key INTEGER NOT NULL,
    subscriber_key INTEGER NOT NULL,
    -- pending -> in_progress | excluded
    -- in_progress -> pending | reached | exhausted | excluded
    -- reached (final)
    -- exhausted (final)
    -- excluded (final)
    state TEXT DEFAULT 'pending' NOT NULL,
    -- the rule that ended the attempts, or why excluded: dnc
    reason TEXT,
    -- its rows in calls but those cancelled and those that failed by the trunk's fault
    attempts INTEGER DEFAULT 0 NOT NULL,
    -- JSON: {"busy": 1}
    retries_used TEXT,
    CONSTRAINT campaign_subscribers_key PRIMARY KEY (campaign_key, subscriber_key),
    CONSTRAINT campaign_subscribers_state_known CHECK (state IN ('pending', 'in_progress', 'reached', 'exhausted', 'excluded')),
    CONSTRAINT campaign_subscribers_campaign_key_there FOREIGN KEY(campaign_key) REFERENCES campaigns ("key")
) WITHOUT ROWID;
CREATE TRIGGER campaign_subscribers_counted AFTER INSERT ON campaign_subscribers
BEGIN
    INSERT INTO subscriber_counts (campaign_key, state, reason, attempts, subscribers)
    VALUES (NEW.campaign_key, NEW.state, COALESCE(NEW.reason, ''), NEW.attempts, 1)
    ON CONFLICT (campaign_key, state, reason, attempts) DO UPDATE SET subscribers = subscribers + 1;
END;
CREATE TRIGGER campaign_subscribers_recounted
AFTER UPDATE OF state, reason, attempts ON campaign_subscribers
WHEN NEW.state <> OLD.state OR NEW.reason IS NOT OLD.reason OR NEW.attempts <> OLD.attempts
BEGIN
    UPDATE subscriber_counts SET subscribers = subscribers - 1
    WHERE campaign_key = OLD.campaign_key AND state = OLD.state
        AND reason = COALESCE(OLD.reason, '') AND attempts = OLD.attempts;
    INSERT INTO subscriber_counts (campaign_key, state, reason, attempts, subscribers)
    VALUES (NEW.campaign_key, NEW.state, COALESCE(NEW.reason, ''), NEW.attempts, 1)
    ON CONFLICT (campaign_key, state, reason, attempts) DO UPDATE SET subscribers = subscribers + 1;
END;
CREATE TRIGGER campaign_subscribers_state BEFORE UPDATE OF state ON campaign_subscribers
WHEN NOT (
    NEW.state = OLD.state
    OR OLD.state = 'pending' AND NEW.state IN ('in_progress', 'excluded')
    OR OLD.state = 'in_progress' AND NEW.state IN ('pending', 'reached', 'exhausted', 'excluded')
)
BEGIN
    SELECT RAISE(ABORT, 'campaign_subscribers.state: there is no such transition');
END;

CREATE TABLE campaign_trunks (
    campaign_key INTEGER NOT NULL,
    -- 0 is preferred
    position INTEGER NOT NULL,
    trunk_key INTEGER NOT NULL,
    CONSTRAINT campaign_trunks_key PRIMARY KEY (campaign_key, position),
    CONSTRAINT campaign_trunks_campaign_key_there FOREIGN KEY(campaign_key) REFERENCES campaigns ("key") ON DELETE CASCADE,
    CONSTRAINT campaign_trunks_trunk_key_there FOREIGN KEY(trunk_key) REFERENCES trunks ("key")
) WITHOUT ROWID;
CREATE INDEX campaign_trunks_trunk_key ON campaign_trunks (trunk_key);

CREATE TABLE call_jobs (
    "key" INTEGER NOT NULL,
    -- public id of the call it will make or made last
    call_id BLOB NOT NULL,
    campaign_key INTEGER NOT NULL,
    subscriber_key INTEGER NOT NULL,
    trunk_key INTEGER,
    -- queued -> dialing | cancelled
    -- dialing -> queued | interrupted | done
    -- interrupted -> queued | done
    -- done (final)
    -- cancelled (final)
    state TEXT DEFAULT 'queued' NOT NULL,
    -- not to be claimed earlier
    not_before BIGINT NOT NULL,
    -- instance of the dialer
    claimed_by TEXT,
    -- committed before the INVITE leaves
    claimed_at BIGINT, waits_for TEXT,
    CONSTRAINT call_jobs_key PRIMARY KEY ("key"),
    CONSTRAINT call_jobs_state_known CHECK (state IN ('queued', 'dialing', 'interrupted', 'done', 'cancelled')),
    CONSTRAINT call_jobs_campaign_key_subscriber_key_there FOREIGN KEY(campaign_key, subscriber_key) REFERENCES campaign_subscribers (campaign_key, subscriber_key),
    CONSTRAINT call_jobs_trunk_key_there FOREIGN KEY(trunk_key) REFERENCES trunks ("key"),
    CONSTRAINT call_jobs_call_id_once UNIQUE (call_id)
);
CREATE INDEX call_jobs_campaign_key_subscriber_key ON call_jobs (campaign_key, subscriber_key);
CREATE INDEX call_jobs_dialing ON call_jobs (campaign_key, trunk_key) WHERE state = 'dialing';
CREATE INDEX call_jobs_due ON call_jobs (campaign_key, not_before) WHERE state = 'queued';
CREATE UNIQUE INDEX call_jobs_one_live ON call_jobs (campaign_key, subscriber_key) WHERE state IN ('queued', 'dialing', 'interrupted');
CREATE INDEX call_jobs_waiting ON call_jobs (campaign_key, waits_for, not_before, state) WHERE state = 'queued' AND waits_for IS NOT NULL;
CREATE TRIGGER call_jobs_state BEFORE UPDATE OF state ON call_jobs
WHEN NOT (
    NEW.state = OLD.state
    OR OLD.state = 'queued' AND NEW.state IN ('dialing', 'cancelled')
    OR OLD.state = 'dialing' AND NEW.state IN ('queued', 'interrupted', 'done')
    OR OLD.state = 'interrupted' AND NEW.state IN ('queued', 'done')
)
BEGIN
    SELECT RAISE(ABORT, 'call_jobs.state: there is no such transition');
END;

CREATE TABLE call_traces (
    -- the SIP messages of the latest calls
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    call_id BLOB NOT NULL,
    written_at BIGINT NOT NULL,
    -- the messages with their times, credentials masked
    packed BLOB NOT NULL,
    CONSTRAINT call_traces_call_id_once UNIQUE (call_id)
);
CREATE INDEX call_traces_written_at ON call_traces (written_at);

CREATE TABLE trunk_checks (
    -- what POST /srv1/trunks/{id}/check asked of the dialer
    "key" INTEGER NOT NULL,
    id BLOB NOT NULL,
    trunk_key INTEGER NOT NULL,
    -- to call; NULL: no call
    number TEXT,
    asked_at BIGINT NOT NULL,
    -- NULL: the dialer has no result yet
    ended_at BIGINT,
    -- JSON: what the API answers
    result TEXT,
    CONSTRAINT trunk_checks_key PRIMARY KEY ("key"),
    CONSTRAINT trunk_checks_trunk_key_there FOREIGN KEY(trunk_key) REFERENCES trunks ("key") ON DELETE CASCADE,
    CONSTRAINT trunk_checks_id_once UNIQUE (id)
);
CREATE INDEX trunk_checks_trunk_key ON trunk_checks (trunk_key);

CREATE TABLE dnc_imports (
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    owner_key INTEGER NOT NULL,
    -- name of the uploaded file
    file TEXT NOT NULL,
    -- ISO 3166 country, or raw: numbers are kept as written
    region TEXT NOT NULL,
    for_everybody BOOLEAN DEFAULT 0 NOT NULL,
    -- importing -> ready | failed
    -- ready (final)
    -- failed (final)
    state TEXT DEFAULT 'importing' NOT NULL,
    rows INTEGER DEFAULT 0 NOT NULL,
    rows_done INTEGER DEFAULT 0 NOT NULL,
    imported INTEGER DEFAULT 0 NOT NULL,
    -- on the list already, or twice in the file
    duplicates INTEGER DEFAULT 0 NOT NULL,
    rejected INTEGER DEFAULT 0 NOT NULL,
    error TEXT,
    created_at BIGINT NOT NULL, reading TEXT,
    CONSTRAINT dnc_imports_state_known CHECK (state IN ('importing', 'ready', 'failed')),
    CONSTRAINT dnc_imports_owner_key_there FOREIGN KEY(owner_key) REFERENCES users ("key"),
    CONSTRAINT dnc_imports_id_once UNIQUE (id)
);
CREATE INDEX dnc_imports_owner_key ON dnc_imports (owner_key);
CREATE TRIGGER dnc_imports_state BEFORE UPDATE OF state ON dnc_imports
WHEN NOT (
    NEW.state = OLD.state
    OR OLD.state = 'importing' AND NEW.state IN ('ready', 'failed')
)
BEGIN
    SELECT RAISE(ABORT, 'dnc_imports.state: there is no such transition');
END;
CREATE TRIGGER dnc_imports_told AFTER UPDATE OF state ON dnc_imports
WHEN NEW.state <> OLD.state AND (
    EXISTS (SELECT 1 FROM webhooks WHERE active AND instr(events, 'import.ended'))
    OR EXISTS (SELECT 1 FROM notices WHERE active AND instr(events, 'import.ended'))
)
BEGIN
    INSERT INTO events (kind, at, campaign_key, object_key, details)
    VALUES (
        'import.ended', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), 0, NEW.key,
        json_object('into', 'dnc')
    );
END;

CREATE TABLE dnc_rejected_rows (
    "key" INTEGER NOT NULL,
    import_key INTEGER NOT NULL,
    -- of the file, as a spreadsheet counts
    "row" INTEGER NOT NULL,
    value TEXT NOT NULL,
    reason TEXT NOT NULL, column_name TEXT,
    CONSTRAINT dnc_rejected_rows_key PRIMARY KEY ("key"),
    CONSTRAINT dnc_rejected_rows_import_key_there FOREIGN KEY(import_key) REFERENCES dnc_imports ("key")
);
CREATE INDEX dnc_rejected_rows_import_key ON dnc_rejected_rows (import_key);

CREATE TABLE key_counts (
    -- finished calls in which a key of the campaign was pressed, counted as they are recorded
    campaign_key INTEGER NOT NULL,
    digit TEXT NOT NULL,
    action TEXT NOT NULL,
    -- of several presses in a call the last that changed anything
    effect TEXT NOT NULL,
    calls INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT key_counts_key PRIMARY KEY (campaign_key, digit, action, effect),
    CONSTRAINT key_counts_campaign_key_there FOREIGN KEY(campaign_key) REFERENCES campaigns ("key")
) WITHOUT ROWID;

CREATE TABLE call_counts (
    -- finished calls, counted as they are recorded
    campaign_key INTEGER NOT NULL,
    -- the start of the hour of the INVITE, UTC
    hour_at BIGINT NOT NULL,
    -- 0: interrupted before a trunk was known
    trunk_key INTEGER NOT NULL,
    disposition TEXT NOT NULL,
    calls INTEGER DEFAULT 0 NOT NULL,
    -- sum
    billsec_ms INTEGER DEFAULT 0 NOT NULL,
    -- sum, in millionths
    played_share_ppm INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT call_counts_key PRIMARY KEY (campaign_key, disposition, hour_at, trunk_key),
    CONSTRAINT call_counts_campaign_key_there FOREIGN KEY(campaign_key) REFERENCES campaigns ("key")
) WITHOUT ROWID;

CREATE TABLE call_spreads (
    -- how the finished calls spread over the values of a figure
    campaign_key INTEGER NOT NULL,
    -- pdd: of calls that rang; listened: of answered calls; digit: of calls in which one came
    figure TEXT NOT NULL,
    -- pdd: in 10 ms; listened: whole seconds played; digit: its code point
    value INTEGER NOT NULL,
    calls INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT call_spreads_key PRIMARY KEY (campaign_key, figure, value),
    CONSTRAINT call_spreads_campaign_key_there FOREIGN KEY(campaign_key) REFERENCES campaigns ("key")
) WITHOUT ROWID;

CREATE TABLE subscriber_counts (
    -- rows of campaign_subscribers, counted as they change
    campaign_key INTEGER NOT NULL,
    state TEXT NOT NULL,
    -- empty where campaign_subscribers has none
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    subscribers INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT subscriber_counts_key PRIMARY KEY (campaign_key, state, reason, attempts),
    CONSTRAINT subscriber_counts_campaign_key_there FOREIGN KEY(campaign_key) REFERENCES campaigns ("key")
) WITHOUT ROWID;

CREATE TABLE campaign_origins (
    -- earlier campaigns of the same callbase; whom one of them reached, the campaign does not call
    campaign_key INTEGER NOT NULL,
    origin_key INTEGER NOT NULL,
    CONSTRAINT campaign_origins_key PRIMARY KEY (campaign_key, origin_key),
    CONSTRAINT campaign_origins_campaign_key_there FOREIGN KEY(campaign_key) REFERENCES campaigns ("key") ON DELETE CASCADE,
    CONSTRAINT campaign_origins_origin_key_there FOREIGN KEY(origin_key) REFERENCES campaigns ("key") ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE dialogs (
    -- calls that are answered and not over; the row goes in the commit of the call's outcome
    call_id BLOB NOT NULL,
    trunk_key INTEGER NOT NULL,
    -- JSON: what a BYE needs, as the SIP core wrote it; no password
    dialog TEXT NOT NULL,
    CONSTRAINT dialogs_key PRIMARY KEY (call_id),
    CONSTRAINT dialogs_trunk_key_there FOREIGN KEY(trunk_key) REFERENCES trunks ("key") ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE numbering_files (
    -- imported files of the numbering plan
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    -- its name
    file TEXT NOT NULL,
    imported_at BIGINT NOT NULL
);

CREATE TABLE numbering_ranges (
    -- allotted numbers; those count whose code numbering_codes has with this file
    file_key INTEGER NOT NULL,
    -- first three digits of the national number: 916
    code INTEGER NOT NULL,
    -- of the seven digits behind the code
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    operator TEXT NOT NULL,
    -- as the file spells it
    region TEXT NOT NULL,
    -- IANA name; NULL: the region is unknown or has several
    zone TEXT,
    CONSTRAINT numbering_ranges_key PRIMARY KEY (file_key, code, first),
    CONSTRAINT numbering_ranges_file_key_there FOREIGN KEY(file_key) REFERENCES numbering_files ("key")
) WITHOUT ROWID;

CREATE TABLE numbering_codes (
    -- which file's ranges of a code count: the last one imported
    code INTEGER NOT NULL,
    file_key INTEGER NOT NULL,
    CONSTRAINT numbering_codes_key PRIMARY KEY (code),
    CONSTRAINT numbering_codes_file_key_there FOREIGN KEY(file_key) REFERENCES numbering_files ("key")
) WITHOUT ROWID;

CREATE TABLE callbase_zones (
    -- subscribers of a callbase by their time zone, counted as they come and go
    callbase_key INTEGER NOT NULL,
    -- IANA name; empty: none is known
    zone TEXT NOT NULL,
    -- column, number or plan; empty: by nothing
    found_by TEXT NOT NULL,
    subscribers INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT callbase_zones_key PRIMARY KEY (callbase_key, zone, found_by),
    CONSTRAINT callbase_zones_callbase_key_there FOREIGN KEY(callbase_key) REFERENCES callbases ("key") ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE commands (
    -- what the API asks of the dialer
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    campaign_key INTEGER,
    trunk_key INTEGER,
    -- or the id of the trunk check
    call_id BLOB,
    -- to be sent
    digits TEXT,
    created_at BIGINT NOT NULL,
    -- NULL: the dialer has not obeyed it
    taken_at BIGINT,
    -- what the dialer says to it; NULL: nothing yet
    reply TEXT,
    CONSTRAINT commands_kind_known CHECK (kind IN ('hangup_campaign', 'hangup_call', 'trace_call', 'check_trunk', 'send_digits', 'wake_trunk')),
    CONSTRAINT commands_campaign_key_there FOREIGN KEY(campaign_key) REFERENCES campaigns ("key"),
    CONSTRAINT commands_trunk_key_there FOREIGN KEY(trunk_key) REFERENCES trunks ("key") ON DELETE CASCADE
);
CREATE INDEX commands_new ON commands ("key") WHERE taken_at IS NULL;

CREATE TABLE api_keys (
    -- what programs send in place of an access token
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    user_key INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- how the key begins
    prefix TEXT NOT NULL,
    -- SHA-256; the key itself is not kept
    key_hash BLOB NOT NULL,
    -- with spaces between
    scope TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- NULL: it does not run out
    expires_at BIGINT,
    -- written at most once a minute
    last_used_at BIGINT,
    CONSTRAINT api_keys_user_key_there FOREIGN KEY(user_key) REFERENCES users ("key") ON DELETE CASCADE,
    CONSTRAINT api_keys_id_once UNIQUE (id),
    CONSTRAINT api_keys_key_hash_once UNIQUE (key_hash)
);
CREATE INDEX api_keys_user_key ON api_keys (user_key);

CREATE TABLE second_factors (
    "key" INTEGER NOT NULL,
    user_key INTEGER NOT NULL,
    -- encrypted
    secret BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    -- NULL: not in use until a code has come
    confirmed_at BIGINT,
    -- of the newest code taken
    last_step INTEGER DEFAULT 0 NOT NULL,
    -- wrong codes in a row
    failures INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT second_factors_key PRIMARY KEY ("key"),
    CONSTRAINT second_factors_user_key_there FOREIGN KEY(user_key) REFERENCES users ("key") ON DELETE CASCADE,
    CONSTRAINT second_factors_user_key_once UNIQUE (user_key)
);

CREATE TABLE recovery_codes (
    "key" INTEGER NOT NULL,
    user_key INTEGER NOT NULL,
    -- HMAC; a code that was used has no row
    code_hash TEXT NOT NULL,
    CONSTRAINT recovery_codes_key PRIMARY KEY ("key"),
    CONSTRAINT recovery_codes_user_key_there FOREIGN KEY(user_key) REFERENCES users ("key") ON DELETE CASCADE,
    CONSTRAINT recovery_codes_user_key_code_hash_once UNIQUE (user_key, code_hash)
);

CREATE TABLE campaign_slices (
    -- the people of campaigns that are not for their whole callbase
    campaign_key INTEGER NOT NULL,
    subscriber_key INTEGER NOT NULL,
    CONSTRAINT campaign_slices_key PRIMARY KEY (campaign_key, subscriber_key),
    CONSTRAINT campaign_slices_campaign_key_there FOREIGN KEY(campaign_key) REFERENCES campaigns ("key")
) WITHOUT ROWID;

CREATE TABLE campaign_diary (
    -- what happened to a campaign, for its owner
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    campaign_key INTEGER NOT NULL,
    at BIGINT NOT NULL,
    event TEXT NOT NULL,
    -- what has this event or its opposite: window, trunk 5, ...
    subject TEXT,
    -- NULL: nobody, a rule did it
    by_login TEXT,
    details TEXT,
    -- merged into this line
    times INTEGER DEFAULT 1 NOT NULL,
    -- of the last of them
    last_at BIGINT NOT NULL,
    CONSTRAINT campaign_diary_campaign_key_there FOREIGN KEY(campaign_key) REFERENCES campaigns ("key")
);
CREATE INDEX campaign_diary_campaign_key_key ON campaign_diary (campaign_key, "key");

CREATE TABLE events (
    -- what happened and is not yet told; written by triggers, where a webhook or notice wants it
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    -- 0: no campaign's
    campaign_key INTEGER NOT NULL,
    -- of the call, campaign, trunk, callbase, import or dnc entry
    object_key INTEGER NOT NULL,
    details TEXT
);

CREATE TABLE webhooks (
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    owner_key INTEGER NOT NULL,
    -- NULL: all that the owner has
    campaign_key INTEGER,
    url TEXT NOT NULL,
    -- words between spaces
    events TEXT NOT NULL,
    -- the key of the signatures, encrypted
    secret BLOB NOT NULL,
    -- json or form
    format TEXT NOT NULL,
    -- of a form: name -> template
    fields TEXT,
    active BOOLEAN DEFAULT 1 NOT NULL,
    -- it is the webhook_url of its campaign
    short BOOLEAN DEFAULT 0 NOT NULL,
    -- why it fails or was switched off
    note TEXT,
    -- NULL: the last delivery arrived
    failing_since BIGINT,
    created_at BIGINT NOT NULL,
    CONSTRAINT webhooks_format_known CHECK (format IN ('json', 'form')),
    CONSTRAINT webhooks_campaign_key_there FOREIGN KEY(campaign_key) REFERENCES campaigns ("key") ON DELETE CASCADE,
    CONSTRAINT webhooks_owner_key_there FOREIGN KEY(owner_key) REFERENCES users ("key") ON DELETE CASCADE,
    CONSTRAINT webhooks_id_once UNIQUE (id)
);
CREATE INDEX webhooks_campaign_key ON webhooks (campaign_key);
CREATE INDEX webhooks_owner_key ON webhooks (owner_key);

CREATE TABLE webhook_deliveries (
    -- an event for one webhook
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    webhook_key INTEGER NOT NULL,
    owner_key INTEGER NOT NULL,
    -- 0: no campaign's; -1: a test
    campaign_key INTEGER NOT NULL,
    kind TEXT NOT NULL,
    object_key INTEGER NOT NULL,
    -- NULL: about a person, and read when it is sent
    payload TEXT,
    -- when it happened
    at BIGINT NOT NULL,
    state TEXT DEFAULT 'waiting' NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    first_at BIGINT,
    last_at BIGINT,
    retry_at BIGINT,
    status_code INTEGER,
    error TEXT,
    CONSTRAINT webhook_deliveries_state_known CHECK (state IN ('waiting', 'delivered', 'failed')),
    CONSTRAINT webhook_deliveries_id_once UNIQUE (id)
);
CREATE INDEX webhook_deliveries_owner_key_key ON webhook_deliveries (owner_key, "key");
CREATE INDEX webhook_deliveries_undone ON webhook_deliveries (owner_key, state, "key") WHERE state <> 'delivered';
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook_key, campaign_key, "key") WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_webhook_key_key ON webhook_deliveries (webhook_key, "key");

CREATE TABLE webhook_lanes (
    -- deliveries that wait, of one webhook and campaign, and go in their order
    webhook_key INTEGER NOT NULL,
    campaign_key INTEGER NOT NULL,
    -- when the first of them is tried
    next_at BIGINT NOT NULL,
    CONSTRAINT webhook_lanes_key PRIMARY KEY (webhook_key, campaign_key),
    CONSTRAINT webhook_lanes_webhook_key_there FOREIGN KEY(webhook_key) REFERENCES webhooks ("key") ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX webhook_lanes_next_at ON webhook_lanes (next_at);

CREATE TABLE trunk_told (
    -- the state of each trunk that was told last: what lies between two states is not told
    trunk_key INTEGER NOT NULL,
    -- working, resting or not_registered
    state TEXT NOT NULL,
    CONSTRAINT trunk_told_key PRIMARY KEY (trunk_key),
    CONSTRAINT trunk_told_trunk_key_there FOREIGN KEY(trunk_key) REFERENCES trunks ("key") ON DELETE CASCADE
);

CREATE TABLE notices (
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    owner_key INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- where it goes, with its secrets, encrypted
    url BLOB NOT NULL,
    -- the same without secrets
    shown TEXT NOT NULL,
    -- words between spaces
    events TEXT NOT NULL,
    -- ru or en
    language TEXT NOT NULL,
    active BOOLEAN DEFAULT 1 NOT NULL,
    -- why the last message did not go out
    note TEXT,
    -- when the last one did
    sent_at BIGINT,
    created_at BIGINT NOT NULL,
    CONSTRAINT notices_language_known CHECK (language IN ('ru', 'en')),
    CONSTRAINT notices_owner_key_there FOREIGN KEY(owner_key) REFERENCES users ("key") ON DELETE CASCADE,
    CONSTRAINT notices_id_once UNIQUE (id)
);
CREATE INDEX notices_owner_key ON notices (owner_key);

CREATE TABLE notice_messages (
    -- sentences that are to go out
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    notice_key INTEGER NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    at BIGINT NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    next_at BIGINT NOT NULL,
    CONSTRAINT notice_messages_notice_key_there FOREIGN KEY(notice_key) REFERENCES notices ("key") ON DELETE CASCADE
);
CREATE INDEX notice_messages_next_at ON notice_messages (next_at);
CREATE INDEX notice_messages_notice_key ON notice_messages (notice_key);

CREATE TABLE callbase_destinations (
    -- subscribers of a callbase by where their number leads, counted as they come and go
    callbase_key INTEGER NOT NULL,
    -- RU, RU:premium, :satellite; empty: not found yet
    destination TEXT NOT NULL,
    subscribers INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT callbase_destinations_key PRIMARY KEY (callbase_key, destination),
    CONSTRAINT callbase_destinations_callbase_key_there FOREIGN KEY(callbase_key) REFERENCES callbases ("key") ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE day_use (
    -- calls and minutes of a user or trunk on a day, for its ceilings
    -- of UTC, as 2027-01-31
    day TEXT NOT NULL,
    -- users or trunks
    kind TEXT NOT NULL,
    of_key INTEGER NOT NULL,
    -- claims
    calls INTEGER DEFAULT 0 NOT NULL,
    -- of ended calls
    billsec_ms INTEGER DEFAULT 0 NOT NULL,
    -- the audit says that a ceiling is reached
    told BOOLEAN DEFAULT 0 NOT NULL,
    CONSTRAINT day_use_key PRIMARY KEY (day, kind, of_key)
) WITHOUT ROWID;

CREATE TABLE campaign_status (
    -- live state of running campaigns, written by the dialer at most once a second
    campaign_key INTEGER NOT NULL,
    -- what keeps it from starting more calls; NULL: nothing
    limited_by TEXT,
    -- when a slow rate lets the next call start
    until BIGINT,
    written_at BIGINT NOT NULL,
    CONSTRAINT campaign_status_key PRIMARY KEY (campaign_key),
    CONSTRAINT campaign_status_limited_by_known CHECK (limited_by IN ('campaign_channels', 'campaign_cps', 'trunk_channels', 'trunk_cps', 'trunk_in_doubt', 'window_closed', 'before_start', 'after_end', 'no_trunk', 'machine_share')),
    CONSTRAINT campaign_status_campaign_key_there FOREIGN KEY(campaign_key) REFERENCES campaigns ("key") ON DELETE CASCADE
);

CREATE TABLE call_tallies (
    -- finished calls by quarter of an hour, counted as they are recorded
    campaign_key INTEGER NOT NULL,
    -- the start of the quarter of an hour of the INVITE, UTC
    quarter_at BIGINT NOT NULL,
    -- of the subscriber, IANA name; empty: none is known
    zone TEXT NOT NULL,
    -- 0: interrupted before a trunk was known
    trunk_key INTEGER NOT NULL,
    -- shown to the callee, as far as it is ours to say; empty: none was
    caller_id TEXT NOT NULL,
    disposition TEXT NOT NULL,
    calls INTEGER DEFAULT 0 NOT NULL,
    -- sum
    billsec_ms INTEGER DEFAULT 0 NOT NULL,
    -- or were answered
    rang INTEGER DEFAULT 0 NOT NULL,
    -- also by a machine
    answered INTEGER DEFAULT 0 NOT NULL,
    -- answered calls that were played more than this percentage of the sound
    heard_25 INTEGER DEFAULT 0 NOT NULL,
    heard_50 INTEGER DEFAULT 0 NOT NULL,
    heard_75 INTEGER DEFAULT 0 NOT NULL,
    heard_95 INTEGER DEFAULT 0 NOT NULL,
    -- 404, 410, 484, 604
    dead INTEGER DEFAULT 0 NOT NULL,
    -- answered calls that the callee ended within 3 s
    early_hang_ups INTEGER DEFAULT 0 NOT NULL,
    sip_603 INTEGER DEFAULT 0 NOT NULL,
    sip_607 INTEGER DEFAULT 0 NOT NULL,
    sip_608 INTEGER DEFAULT 0 NOT NULL,
    -- whose first call within the campaign it was
    people_called INTEGER DEFAULT 0 NOT NULL,
    -- whose first call it was that got as far; so on
    people_rang INTEGER DEFAULT 0 NOT NULL,
    people_answered INTEGER DEFAULT 0 NOT NULL,
    people_heard_25 INTEGER DEFAULT 0 NOT NULL,
    people_heard_50 INTEGER DEFAULT 0 NOT NULL,
    people_heard_75 INTEGER DEFAULT 0 NOT NULL,
    people_heard_95 INTEGER DEFAULT 0 NOT NULL,
    people_dead INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT call_tallies_key PRIMARY KEY (campaign_key, quarter_at, zone, trunk_key, caller_id, disposition),
    CONSTRAINT call_tallies_campaign_key_there FOREIGN KEY(campaign_key) REFERENCES campaigns ("key")
) WITHOUT ROWID;

CREATE TABLE key_tallies (
    -- keys pressed by quarter of an hour, counted as the calls are recorded
    campaign_key INTEGER NOT NULL,
    -- the start of the quarter of an hour of the INVITE, UTC
    quarter_at BIGINT NOT NULL,
    digit TEXT NOT NULL,
    -- in which it was pressed, however often
    calls INTEGER DEFAULT 0 NOT NULL,
    -- whose first call within the campaign it was in which they pressed it
    people INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT key_tallies_key PRIMARY KEY (campaign_key, quarter_at, digit),
    CONSTRAINT key_tallies_campaign_key_there FOREIGN KEY(campaign_key) REFERENCES campaigns ("key")
) WITHOUT ROWID;

-- The migration that this schema corresponds to.
INSERT INTO alembic_version VALUES ('0053');

-- Three sample users. None can log in until `python main.py set-password LOGIN`.
INSERT INTO users ("key", id, login, name, role, password_hash, comment, created_at) VALUES
    (1, X'019b5000000070008000000000000001', 'anna', 'Anna', 'user', NULL, 'sample', 1767225600000),
    (2, X'019b5000000070008000000000000002', 'boris', 'Boris', 'user', NULL, 'sample', 1767225600000),
    (3, X'019b5000000070008000000000000003', 'vera', 'Vera', 'user', NULL, 'sample', 1767225600000);

-- Three sample subscribers. Their numbers are of a range that Ofcom keeps for drama: they belong to nobody.
INSERT INTO callbases ("key", id, owner_key, name, region, timezone, state, rows, rows_done, imported, created_at)
VALUES
    (1, X'019b5000000070008000000000000011', 1, 'sample', 'GB', 'Europe/London', 'ready', 3, 3, 3, 1767225600000);
INSERT INTO subscribers ("key", id, callbase_key, number, name, comment) VALUES
    (1, X'019b5000000070008000000000000021', 1, '+442079460101', 'Alice Sample', 'belongs to nobody'),
    (2, X'019b5000000070008000000000000022', 1, '+442079460102', 'Bob Sample', 'belongs to nobody'),
    (3, X'019b5000000070008000000000000023', 1, '+442079460103', 'Carol Sample', 'belongs to nobody');

COMMIT;
