-- The ground: organisations, people, what lies between two people, direct messages, notifications, the outbox.
-- Every key begins with the organisation: a reference across tenants cannot be written.

create table org (
    id integer generated always as identity primary key,
    slug text not null unique,
    name text not null,
    settings jsonb not null,
    created_at timestamptz not null
);

create table org_key (
    org integer not null references org (id) on delete cascade,
    kid text not null,
    algorithm text not null check (algorithm in ('HS256', 'JWKS')),
    secret bytea,
    jwks_url text,
    created_at timestamptz not null,
    retired_at timestamptz,
    primary key (org, kid),
    check ((algorithm = 'HS256') = (secret is not null) and (algorithm = 'JWKS') = (jwks_url is not null))
);

create table person (
    org integer not null references org (id) on delete cascade,
    id bigint not null,
    email text not null,
    subject text,
    first_name text not null default '',
    last_name text not null default '',
    image text,
    company text,
    job_title text,
    status text not null default 'active' check (status in ('active', 'suspended')),
    claimed_at timestamptz,
    messages_from text not null default 'everyone' check (messages_from in ('everyone', 'connections')),
    read_receipts boolean not null default true,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (org, id),
    unique (org, email),
    unique (org, subject)
);

create table block (
    org integer not null,
    id bigint not null,
    blocker bigint not null,
    blocked bigint not null,
    reason text,
    reason_details text,
    context jsonb,
    created_at timestamptz not null,
    primary key (org, blocker, blocked),
    unique (org, id),
    foreign key (org, blocker) references person (org, id) on delete cascade,
    foreign key (org, blocked) references person (org, id) on delete cascade,
    check (blocker <> blocked)
);
create index block_blocked on block (org, blocked, blocker);

create table connection (
    org integer not null,
    low bigint not null,
    high bigint not null,
    id bigint not null,
    requester bigint not null,
    status text not null check (status in ('pending', 'accepted', 'rejected')),
    requested_at timestamptz not null,
    responded_at timestamptz,
    primary key (org, low, high),
    unique (org, id),
    foreign key (org, low) references person (org, id) on delete cascade,
    foreign key (org, high) references person (org, id) on delete cascade,
    check (low < high and requester in (low, high))
);

create table thread (
    org integer not null,
    id bigint not null,
    low bigint not null,
    high bigint not null,
    last_seq bigint not null,
    last_message bigint not null,
    low_hidden integer not null default 0,
    high_hidden integer not null default 0,
    created_at timestamptz not null,
    primary key (org, id),
    unique (org, low, high),
    foreign key (org, low) references person (org, id) on delete cascade,
    foreign key (org, high) references person (org, id) on delete cascade,
    check (low < high)
) with (fillfactor = 70);
create index thread_low on thread (org, low, last_message desc);
create index thread_high on thread (org, high, last_message desc);

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
    created_at timestamptz not null,
    delivered_at timestamptz,
    read_at timestamptz,
    deleted_at timestamptz,
    sender_hid boolean not null default false,
    recipient_hid boolean not null default false,
    primary key (org, id),
    unique (org, thread, seq),
    foreign key (org, thread) references thread (org, id) on delete cascade,
    foreign key (org, sender) references person (org, id) on delete cascade,
    foreign key (org, recipient) references person (org, id) on delete cascade,
    foreign key (org, reply_to) references message (org, id),
    check (sender <> recipient)
);
create unique index message_client on message (org, sender, recipient, client_id) where client_id is not null;
create index message_unread on message (org, recipient, sender)
    where read_at is null and deleted_at is null and not recipient_hid;
create index message_reply on message (org, reply_to) where reply_to is not null;

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
    created_at timestamptz not null,
    read_at timestamptz,
    primary key (org, id),
    unique (org, recipient, cause),
    foreign key (org, recipient) references person (org, id) on delete cascade,
    foreign key (org, actor) references person (org, id) on delete cascade
);
create index notification_newest on notification (org, recipient, id desc);
create index notification_unread on notification (org, recipient, group_key) where read_at is null;

create table idempotency (
    org integer not null references org (id) on delete cascade,
    person bigint not null,
    key text not null,
    fingerprint bytea not null,
    status integer not null,
    body bytea not null,
    created_at timestamptz not null,
    primary key (org, person, key)
);

-- Numbered by the database, after the row lock of what the fact is about: within a thread, in the order of `seq`.
create table outbox (
    id bigint generated always as identity primary key,
    org integer not null references org (id) on delete cascade,
    kind text not null,
    fact jsonb not null,
    origin text,
    created_at timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- The log of live events: appended by the one relay, in commit order; what a client that was away asks for.
create table event (
    org integer not null references org (id) on delete cascade,
    audience bigint not null,
    position bigint not null,
    name text not null,
    kind text not null,
    fact jsonb not null,
    created_at timestamptz not null,
    primary key (org, audience, position)
);
create index event_age on event (created_at);

-- The processes of the server: one that has not renewed its row for a while is gone.
create table node (
    id integer primary key,
    seen_at timestamptz not null
);
create sequence node_number maxvalue 1023 minvalue 0 cycle;

-- Who has a socket open, and on which process.
create table presence (
    org integer not null,
    person bigint not null,
    node integer not null,
    primary key (org, person, node),
    foreign key (org, person) references person (org, id) on delete cascade
);
create index presence_node on presence (node);

-- The ends of the log: `head` is the newest position; a cursor below `floor` has been forgotten.
create table event_log (
    one boolean primary key default true check (one),
    floor bigint not null default 0,
    head bigint not null default 0
);
insert into event_log default values;

-- Messages between processes that are too large for a notification; nothing here matters after a crash.
create unlogged table bus_letter (
    id bigint generated always as identity primary key,
    body bytea not null
);
