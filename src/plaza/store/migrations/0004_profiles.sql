-- Profiles, the directory, and addresses that change.

-- `version` is raised by every write of the person's own record. `email_at`: when the token was issued that said the
-- address; an older token does not bring an old address back. `entry_due`: the entry in the directory is to be written
-- anew, by a job.
alter table person
    add column version integer not null default 1,
    add column email_at timestamptz,
    add column unlisted_at timestamptz,
    add column show_email boolean not null default false,
    add column show_phone boolean not null default false,
    add column show_company boolean not null default true,
    add column show_location boolean not null default true,
    add column entry_due boolean not null default true;
create index person_entry_due on person (org, id) where entry_due and claimed_at is not null;

-- What people say of themselves, apart from the narrow row that is read wherever a person is shown.
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
    primary key (org, person),
    foreign key (org, person) references person (org, id) on delete cascade
);

-- Who is in the directory, and what they are found by: `words` and `tags` are folded text, `keys` the digests of their
-- pieces with the organisation, which the index finds them by; the text is compared afterwards.
create table directory_entry (
    org integer not null,
    person bigint not null,
    words text not null,
    tags text[] not null,
    keys integer[] not null,
    primary key (org, person),
    foreign key (org, person) references person (org, id) on delete cascade
);
-- A pending list would be read by every search.
create index directory_entry_keys on directory_entry using gin (keys) with (fastupdate = off);

-- Every change of an address: the audit of it, and how a token that names the person by the old one is understood.
create table address_change (
    org integer not null,
    id bigint not null,
    person bigint not null,
    old text not null,
    new text not null,
    by text not null check (by in ('token', 'staff')),
    changed_at timestamptz not null,
    primary key (org, id),
    foreign key (org, person) references person (org, id) on delete cascade
);
create index address_change_old on address_change (org, old, changed_at desc);
create index address_change_person on address_change (org, person);
