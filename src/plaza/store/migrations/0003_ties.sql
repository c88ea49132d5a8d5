-- Ties: follows, connections whole, and the counters of both.

alter table person add column auto_accept_qr_scans boolean not null default false;

-- `following` is the id of a person or of a page, whichever `following_type` says; ids are never equal across kinds.
-- The generated column carries the foreign key and the index of one kind; pages bring theirs.
create table follow (
    org integer not null,
    id bigint not null,
    follower bigint not null,
    following bigint not null,
    following_type text not null check (following_type in ('person', 'page')),
    person bigint generated always as (case when following_type = 'person' then following end) stored,
    muted boolean not null default false,
    notify_on_post boolean not null default true,
    created_at timestamptz not null,
    primary key (org, follower, following),
    unique (org, id),
    foreign key (org, follower) references person (org, id) on delete cascade,
    foreign key (org, person) references person (org, id) on delete cascade,
    check (follower <> following)
);
create index follow_followers on follow (org, person, id desc) include (follower) where person is not null;
create index follow_following on follow (org, follower, id desc) include (following);

-- `position` is raised by every transition: a list shows what changed last first, and its cursor is a position.
alter table connection
    add column target bigint not null generated always as (case when requester = low then high else low end) stored,
    add column message text,
    add column context jsonb,
    add column position bigint;
update connection set position = id;
alter table connection alter column position set not null;
create index connection_sent on connection (org, requester, status, position desc) include (target);
create index connection_received on connection (org, target, status, position desc) include (requester);

-- How many ties a person has, beside the person, whose row is busy with other things.
create table tie_count (
    org integer not null,
    person bigint not null,
    followers integer not null default 0 check (followers >= 0),
    following integer not null default 0 check (following >= 0),
    connections integer not null default 0 check (connections >= 0),
    primary key (org, person),
    foreign key (org, person) references person (org, id) on delete cascade
) with (fillfactor = 70);
