-- A fact whose relaying fails is tried again later, and moved aside when it went on failing.

alter table outbox add column tries integer not null default 0;
-- Null for a fact that has not failed: those go first, and never wait for those that are tried again.
alter table outbox add column next_try_at timestamptz;
create index outbox_due on outbox (next_try_at) where next_try_at is not null;

-- Facts that failed in every try: listed by `plaza facts failed`, put back by `plaza facts retry`.
create table outbox_failed (
    org integer not null references org (id) on delete cascade,
    id bigint not null,
    kind text not null,
    fact jsonb not null,
    origin text,
    created_at timestamptz not null,
    error text not null,
    tries integer not null,
    failed_at timestamptz not null,
    primary key (org, id)
);
