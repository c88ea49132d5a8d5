-- The schema as it is: the sum of the migrations, written by `python -m plaza.store.schema`; never run.

create table account (
    org integer not null,
    id bigint not null,
    address text not null,
    password_hash text,
    person bigint,
    first_name text not null default ''::text,
    last_name text not null default ''::text,
    phone text,
    contested boolean not null default false,
    epoch integer not null default 0,
    created_at timestamp with time zone not null,
    verified_at timestamp with time zone,
    PRIMARY KEY (org, id),
    FOREIGN KEY (org) REFERENCES org(id) ON DELETE CASCADE,
    FOREIGN KEY (org, person) REFERENCES person(org, id) ON DELETE CASCADE,
    CHECK (((person IS NULL) = (verified_at IS NULL))),
    CHECK (((password_hash IS NOT NULL) OR (verified_at IS NOT NULL)))
);
CREATE UNIQUE INDEX account_pending ON account USING btree (org, address) WHERE (verified_at IS NULL);
CREATE UNIQUE INDEX account_person ON account USING btree (org, person);
CREATE INDEX account_stale ON account USING btree (created_at) WHERE (verified_at IS NULL);
CREATE UNIQUE INDEX account_verified ON account USING btree (org, address) WHERE (verified_at IS NOT NULL);

create table account_code (
    org integer not null,
    account bigint not null,
    purpose text not null,
    hash bytea not null,
    expires_at timestamp with time zone not null,
    PRIMARY KEY (org, account, purpose),
    FOREIGN KEY (org, account) REFERENCES account(org, id) ON DELETE CASCADE,
    CHECK ((purpose = ANY (ARRAY['verify'::text, 'reset'::text])))
);

create table address_change (
    org integer not null,
    id bigint not null,
    person bigint not null,
    old text not null,
    new text not null,
    by text not null,
    changed_at timestamp with time zone not null,
    PRIMARY KEY (org, id),
    FOREIGN KEY (org, person) REFERENCES person(org, id) ON DELETE CASCADE,
    CHECK ((by = ANY (ARRAY['token'::text, 'staff'::text])))
);
CREATE INDEX address_change_old ON address_change USING btree (org, old, changed_at DESC);
CREATE INDEX address_change_person ON address_change USING btree (org, person);

create table badge (
    org integer not null,
    id bigint not null,
    name text not null,
    title text not null,
    description text not null,
    icon text,
    category text not null,
    rarity text not null,
    criteria text not null,
    criteria_type text,
    criteria_value integer,
    auto_award boolean not null,
    earned_by integer not null default 0,
    status text not null default 'active'::text,
    version integer not null default 1,
    created_at timestamp with time zone not null,
    updated_at timestamp with time zone not null,
    PRIMARY KEY (org, id),
    UNIQUE (org, name),
    FOREIGN KEY (org) REFERENCES org(id) ON DELETE CASCADE,
    CHECK ((category = ANY (ARRAY['engagement'::text, 'networking'::text, 'events'::text, 'content'::text, 'special'::text, 'milestone'::text]))),
    CHECK (((criteria_type IS NULL) = (criteria_value IS NULL))),
    CHECK (((criteria_type IS NOT NULL) OR (NOT auto_award))),
    CHECK ((criteria_value > 0)),
    CHECK ((earned_by >= 0)),
    CHECK ((rarity = ANY (ARRAY['common'::text, 'uncommon'::text, 'rare'::text, 'legendary'::text]))),
    CHECK ((status = ANY (ARRAY['active'::text, 'retired'::text])))
);
CREATE INDEX badge_listed ON badge USING btree (org, status, id DESC);

create table badge_award (
    org integer not null,
    id bigint not null,
    badge bigint not null,
    person bigint not null,
    awarded_at timestamp with time zone not null,
    revoked_at timestamp with time zone,
    PRIMARY KEY (org, badge, person),
    UNIQUE (org, id),
    FOREIGN KEY (org, badge) REFERENCES badge(org, id) ON DELETE CASCADE,
    FOREIGN KEY (org, person) REFERENCES person(org, id) ON DELETE CASCADE
);
CREATE INDEX badge_award_person ON badge_award USING btree (org, person, id DESC) WHERE (revoked_at IS NULL);

create table block (
    org integer not null,
    id bigint not null,
    blocker bigint not null,
    blocked bigint not null,
    reason text,
    reason_details text,
    context jsonb,
    created_at timestamp with time zone not null,
    PRIMARY KEY (org, blocker, blocked),
    UNIQUE (org, id),
    FOREIGN KEY (org, blocked) REFERENCES person(org, id) ON DELETE CASCADE,
    FOREIGN KEY (org, blocker) REFERENCES person(org, id) ON DELETE CASCADE,
    CHECK ((blocker <> blocked))
);
CREATE INDEX block_blocked ON block USING btree (org, blocked, blocker);

create unlogged table bus_letter (
    id bigint not null generated always as identity,
    body bytea not null,
    PRIMARY KEY (id)
);

create table connection (
    org integer not null,
    low bigint not null,
    high bigint not null,
    id bigint not null,
    requester bigint not null,
    status text not null,
    requested_at timestamp with time zone not null,
    responded_at timestamp with time zone,
    target bigint not null generated always as (CASE WHEN (requester = low) THEN high ELSE low END) stored,
    message text,
    context jsonb,
    position bigint not null,
    PRIMARY KEY (org, low, high),
    UNIQUE (org, id),
    FOREIGN KEY (org, high) REFERENCES person(org, id) ON DELETE CASCADE,
    FOREIGN KEY (org, low) REFERENCES person(org, id) ON DELETE CASCADE,
    CHECK (((low < high) AND ((requester = low) OR (requester = high)))),
    CHECK ((status = ANY (ARRAY['pending'::text, 'accepted'::text, 'rejected'::text])))
);
CREATE INDEX connection_received_order ON connection USING btree (org, target, status, "position" DESC, id DESC) INCLUDE (requester);
CREATE INDEX connection_sent_order ON connection USING btree (org, requester, status, "position" DESC, id DESC) INCLUDE (target);

create table directory_entry (
    org integer not null,
    person bigint not null,
    words text not null,
    tags text[] not null,
    keys integer[] not null,
    PRIMARY KEY (org, person),
    FOREIGN KEY (org, person) REFERENCES person(org, id) ON DELETE CASCADE
);
CREATE INDEX directory_entry_keys ON directory_entry USING gin (keys) WITH (fastupdate=off);

create table event (
    org integer not null,
    audience bigint not null,
    position bigint not null,
    name text not null,
    kind text not null,
    fact jsonb not null,
    created_at timestamp with time zone not null,
    origin text,
    PRIMARY KEY (org, audience, "position"),
    FOREIGN KEY (org) REFERENCES org(id) ON DELETE CASCADE
);
CREATE INDEX event_age ON event USING btree (created_at);

create table event_log (
    one boolean not null default true,
    floor bigint not null default 0,
    head bigint not null default 0,
    gaps int8multirange not null default '{}'::int8multirange,
    PRIMARY KEY (one),
    CHECK (one)
);

create table follow (
    org integer not null,
    id bigint not null,
    follower bigint not null,
    following bigint not null,
    following_type text not null,
    person bigint generated always as (CASE WHEN (following_type = 'person'::text) THEN following ELSE NULL::bigint END) stored,
    muted boolean not null default false,
    notify_on_post boolean not null default true,
    created_at timestamp with time zone not null,
    PRIMARY KEY (org, follower, following),
    UNIQUE (org, id),
    FOREIGN KEY (org, follower) REFERENCES person(org, id) ON DELETE CASCADE,
    FOREIGN KEY (org, person) REFERENCES person(org, id) ON DELETE CASCADE,
    CHECK ((follower <> following)),
    CHECK ((following_type = ANY (ARRAY['person'::text, 'page'::text])))
);
CREATE INDEX follow_followers ON follow USING btree (org, person, id DESC) INCLUDE (follower) WHERE (person IS NOT NULL);
CREATE INDEX follow_following ON follow USING btree (org, follower, id DESC) INCLUDE (following);

create table idempotency (
    org integer not null,
    person bigint not null,
    key text not null,
    fingerprint bytea not null,
    status integer not null,
    body bytea not null,
    created_at timestamp with time zone not null,
    PRIMARY KEY (org, person, key),
    FOREIGN KEY (org) REFERENCES org(id) ON DELETE CASCADE
);

create table mail (
    org integer not null,
    id bigint not null,
    recipient text not null,
    subject text not null,
    text text not null,
    message_id text not null,
    created_at timestamp with time zone not null,
    tries integer not null default 0,
    next_try_at timestamp with time zone not null,
    sent_at timestamp with time zone,
    failed_at timestamp with time zone,
    PRIMARY KEY (org, id),
    UNIQUE (org, message_id),
    FOREIGN KEY (org) REFERENCES org(id) ON DELETE CASCADE
);
CREATE INDEX mail_due ON mail USING btree (next_try_at) WHERE ((sent_at IS NULL) AND (failed_at IS NULL));
CREATE INDEX mail_recipient ON mail USING btree (org, recipient, created_at);

create table mail_quota (
    org integer not null,
    recipient text not null,
    kind text not null,
    sent timestamp with time zone[] not null,
    PRIMARY KEY (org, recipient, kind),
    FOREIGN KEY (org) REFERENCES org(id) ON DELETE CASCADE
);

create table message (
    org integer not null,
    id bigint not null,
    thread bigint not null,
    seq bigint not null,
    sender bigint not null,
    recipient bigint not null,
    content text not null,
    content_type text not null,
    attachments jsonb not null,
    reply_to bigint,
    client_id text,
    fingerprint bytea,
    created_at timestamp with time zone not null,
    delivered_at timestamp with time zone,
    read_at timestamp with time zone,
    deleted_at timestamp with time zone,
    sender_hid boolean not null default false,
    recipient_hid boolean not null default false,
    size integer,
    PRIMARY KEY (org, id),
    UNIQUE (org, thread, seq),
    FOREIGN KEY (org, recipient) REFERENCES person(org, id) ON DELETE CASCADE,
    FOREIGN KEY (org, reply_to) REFERENCES message(org, id),
    FOREIGN KEY (org, sender) REFERENCES person(org, id) ON DELETE CASCADE,
    FOREIGN KEY (org, thread) REFERENCES thread(org, id) ON DELETE CASCADE,
    CHECK ((sender <> recipient))
);
CREATE UNIQUE INDEX message_client ON message USING btree (org, sender, recipient, client_id) WHERE (client_id IS NOT NULL);
CREATE INDEX message_reply ON message USING btree (org, reply_to) WHERE (reply_to IS NOT NULL);
CREATE INDEX message_unread ON message USING btree (org, recipient, sender) WHERE ((read_at IS NULL) AND (deleted_at IS NULL) AND (NOT recipient_hid));

create table node (
    id integer not null,
    seen_at timestamp with time zone not null,
    PRIMARY KEY (id)
);

create table notification (
    org integer not null,
    id bigint not null,
    recipient bigint not null,
    type text not null,
    actor bigint not null,
    target bigint not null,
    target_type text not null,
    group_key text not null,
    cause text not null,
    created_at timestamp with time zone not null,
    read_at timestamp with time zone,
    PRIMARY KEY (org, id),
    UNIQUE (org, recipient, cause),
    FOREIGN KEY (org, actor) REFERENCES person(org, id) ON DELETE CASCADE,
    FOREIGN KEY (org, recipient) REFERENCES person(org, id) ON DELETE CASCADE
);
CREATE INDEX notification_newest ON notification USING btree (org, recipient, id DESC);
CREATE INDEX notification_unread ON notification USING btree (org, recipient, group_key) WHERE (read_at IS NULL);

create table org (
    id integer not null generated always as identity,
    slug text not null,
    name text not null,
    settings jsonb not null,
    created_at timestamp with time zone not null,
    suspended_at timestamp with time zone,
    PRIMARY KEY (id),
    UNIQUE (slug)
);

create table org_key (
    org integer not null,
    kid text not null,
    algorithm text not null,
    secret bytea,
    jwks_url text,
    created_at timestamp with time zone not null,
    retired_at timestamp with time zone,
    signer text not null generated always as (CASE WHEN (jwks_url IS NULL) THEN 'host'::text ELSE ('jwks:'::text || md5(jwks_url)) END) stored,
    roles text[] not null default '{customer}'::text[],
    claims boolean not null default false,
    PRIMARY KEY (org, kid),
    FOREIGN KEY (org) REFERENCES org(id) ON DELETE CASCADE,
    CHECK ((algorithm = ANY (ARRAY['HS256'::text, 'JWKS'::text]))),
    CHECK ((((algorithm = 'HS256'::text) = (secret IS NOT NULL)) AND ((algorithm = 'JWKS'::text) = (jwks_url IS NOT NULL)))),
    CHECK ((roles <@ '{customer,staff,admin}'::text[]))
);

create table outbox (
    id bigint not null generated always as identity,
    org integer not null,
    kind text not null,
    fact jsonb not null,
    origin text,
    created_at timestamp with time zone not null,
    tries integer not null default 0,
    next_try_at timestamp with time zone,
    PRIMARY KEY (id),
    FOREIGN KEY (org) REFERENCES org(id) ON DELETE CASCADE
);
CREATE INDEX outbox_next ON outbox USING btree (next_try_at, id);

create table outbox_failed (
    org integer not null,
    id bigint not null,
    kind text not null,
    fact jsonb not null,
    origin text,
    created_at timestamp with time zone not null,
    error text not null,
    tries integer not null,
    failed_at timestamp with time zone not null,
    PRIMARY KEY (org, id),
    FOREIGN KEY (org) REFERENCES org(id) ON DELETE CASCADE
);

create table person (
    org integer not null,
    id bigint not null,
    email text not null,
    subject text,
    first_name text not null default ''::text,
    last_name text not null default ''::text,
    image text,
    company text,
    job_title text,
    status text not null default 'active'::text,
    claimed_at timestamp with time zone,
    messages_from text not null default 'everyone'::text,
    read_receipts boolean not null default true,
    created_at timestamp with time zone not null,
    updated_at timestamp with time zone not null,
    auto_accept_qr_scans boolean not null default false,
    version integer not null default 1,
    email_at timestamp with time zone,
    unlisted_at timestamp with time zone,
    show_email boolean not null default false,
    show_phone boolean not null default false,
    show_company boolean not null default true,
    show_location boolean not null default true,
    entry_due boolean not null default true,
    signer text,
    PRIMARY KEY (org, id),
    UNIQUE (org, email),
    FOREIGN KEY (org) REFERENCES org(id) ON DELETE CASCADE,
    CHECK ((messages_from = ANY (ARRAY['everyone'::text, 'connections'::text]))),
    CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text])))
);
CREATE INDEX person_entry_due ON person USING btree (org, id) WHERE (entry_due AND (claimed_at IS NOT NULL));
CREATE UNIQUE INDEX person_subject ON person USING btree (org, subject, signer) NULLS NOT DISTINCT WHERE (subject IS NOT NULL);

create table presence (
    org integer not null,
    person bigint not null,
    node integer not null,
    PRIMARY KEY (org, person, node),
    FOREIGN KEY (org, person) REFERENCES person(org, id) ON DELETE CASCADE
);
CREATE INDEX presence_node ON presence USING btree (node);

create table profile (
    org integer not null,
    person bigint not null,
    about text,
    phone text,
    location text,
    headline text,
    bio text,
    expertise text[] not null,
    interests text[] not null,
    looking_for text[] not null,
    social_links jsonb not null,
    PRIMARY KEY (org, person),
    FOREIGN KEY (org, person) REFERENCES person(org, id) ON DELETE CASCADE
);

create table session (
    org integer not null,
    id bigint not null,
    account bigint not null,
    epoch integer not null,
    family bytea not null,
    secret bytea not null,
    previous bytea,
    salt bytea,
    created_at timestamp with time zone not null,
    used_at timestamp with time zone not null,
    expires_at timestamp with time zone not null,
    ended_at timestamp with time zone,
    PRIMARY KEY (org, id),
    UNIQUE (org, family),
    FOREIGN KEY (org, account) REFERENCES account(org, id) ON DELETE CASCADE
);
CREATE INDEX session_account ON session USING btree (org, account, used_at DESC);
CREATE INDEX session_expiry ON session USING btree (expires_at);

create table thread (
    org integer not null,
    id bigint not null,
    low bigint not null,
    high bigint not null,
    last_seq bigint not null,
    last_message bigint not null,
    low_hidden integer not null default 0,
    high_hidden integer not null default 0,
    created_at timestamp with time zone not null,
    PRIMARY KEY (org, id),
    UNIQUE (org, low, high),
    FOREIGN KEY (org, high) REFERENCES person(org, id) ON DELETE CASCADE,
    FOREIGN KEY (org, low) REFERENCES person(org, id) ON DELETE CASCADE,
    CHECK ((low < high))
);
CREATE INDEX thread_high ON thread USING btree (org, high, last_message DESC);
CREATE INDEX thread_low ON thread USING btree (org, low, last_message DESC);

create table tie_count (
    org integer not null,
    person bigint not null,
    followers integer not null default 0,
    following integer not null default 0,
    connections integer not null default 0,
    PRIMARY KEY (org, person),
    FOREIGN KEY (org, person) REFERENCES person(org, id) ON DELETE CASCADE,
    CHECK ((connections >= 0)),
    CHECK ((followers >= 0)),
    CHECK ((following >= 0))
);
