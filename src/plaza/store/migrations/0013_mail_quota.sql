-- When letters of a kind went to an address lately: a row is locked while one more is counted.
create table mail_quota (
    org integer not null references org (id) on delete cascade,
    recipient text not null,
    kind text not null,
    sent timestamptz[] not null,
    primary key (org, recipient, kind)
);
