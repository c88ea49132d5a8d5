-- Built-in accounts, for organisations without a login of their own: passwords, sessions, codes, and mail to be sent.

-- An account without a person waits for its address to be verified. `epoch` rises whenever every session must end: a
-- session of an earlier epoch is over, also one that was being opened at that very moment. `contested`: several
-- sign-ups with different passwords; nobody knows which of them the owner of the address typed.
create table account (
    org integer not null references org (id) on delete cascade,
    id bigint not null,
    address text not null,
    password_hash text,
    person bigint,
    first_name text not null default '',
    last_name text not null default '',
    phone text,
    contested boolean not null default false,
    epoch integer not null default 0,
    created_at timestamptz not null,
    verified_at timestamptz,
    primary key (org, id),
    foreign key (org, person) references person (org, id) on delete cascade,
    check ((person is null) = (verified_at is null)),
    check (password_hash is not null or verified_at is not null)
) with (fillfactor = 80);
create unique index account_verified on account (org, address) where verified_at is not null;
create unique index account_pending on account (org, address) where verified_at is null;
create unique index account_person on account (org, person);
create index account_stale on account (created_at) where verified_at is null;

-- A family of refresh tokens: `family` is the digest of the part that they share, `secret` that of the newest one's
-- own part, `previous` that of the one before, which `salt` turns into the newest.
create table session (
    org integer not null,
    id bigint not null,
    account bigint not null,
    epoch integer not null,
    family bytea not null,
    secret bytea not null,
    previous bytea,
    salt bytea,
    created_at timestamptz not null,
    used_at timestamptz not null,
    expires_at timestamptz not null,
    ended_at timestamptz,
    primary key (org, id),
    unique (org, family),
    foreign key (org, account) references account (org, id) on delete cascade
) with (fillfactor = 80);
create index session_account on session (org, account, used_at desc);
create index session_expiry on session (expires_at);

-- The newest code that was mailed for each purpose; used once, then gone.
create table account_code (
    org integer not null,
    account bigint not null,
    purpose text not null check (purpose in ('verify', 'reset')),
    hash bytea not null,
    expires_at timestamptz not null,
    primary key (org, account, purpose),
    foreign key (org, account) references account (org, id) on delete cascade
);

-- Written in the statement of its cause, sent by the postman; the text is forgotten once it is sent.
create table mail (
    org integer not null references org (id) on delete cascade,
    id bigint not null,
    recipient text not null,
    subject text not null,
    text text not null,
    message_id text not null,
    created_at timestamptz not null,
    tries integer not null default 0,
    next_try_at timestamptz not null,
    sent_at timestamptz,
    failed_at timestamptz,
    primary key (org, id),
    unique (org, message_id)
) with (fillfactor = 80);
create index mail_due on mail (next_try_at) where sent_at is null and failed_at is null;
create index mail_recipient on mail (org, recipient, created_at);
