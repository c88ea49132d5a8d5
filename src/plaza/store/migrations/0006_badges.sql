-- Badges: what an organisation gives for milestones, and who has earned which.

-- `name` is given once and never changed, and no row is ever deleted: the badges that every organisation begins with are
-- written by their names, however often.
create table badge (
    org integer not null references org (id) on delete cascade,
    id bigint not null,
    name text not null,
    title text not null,
    description text not null,
    icon text,
    category text not null
        check (category in ('engagement', 'networking', 'events', 'content', 'special', 'milestone')),
    rarity text not null check (rarity in ('common', 'uncommon', 'rare', 'legendary')),
    criteria text not null,
    criteria_type text,
    criteria_value integer check (criteria_value > 0),
    auto_award boolean not null,
    earned_by integer not null default 0 check (earned_by >= 0),
    status text not null default 'active' check (status in ('active', 'retired')),
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (org, id),
    unique (org, name),
    check ((criteria_type is null) = (criteria_value is null)),
    check (criteria_type is not null or not auto_award)
) with (fillfactor = 70);
create index badge_listed on badge (org, status, id desc);

-- One row for a badge and a person, for good: one that was taken back stays, and only staff give it again.
create table badge_award (
    org integer not null,
    id bigint not null,
    badge bigint not null,
    person bigint not null,
    awarded_at timestamptz not null,
    revoked_at timestamptz,
    primary key (org, badge, person),
    unique (org, id),
    foreign key (org, badge) references badge (org, id) on delete cascade,
    foreign key (org, person) references person (org, id) on delete cascade
);
create index badge_award_person on badge_award (org, person, id desc) where revoked_at is null;
