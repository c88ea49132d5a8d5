-- What a version before made: names as they were typed.

create table member (
    id integer primary key,
    name text not null,
    visits integer not null default 0
);
insert into member (id, name) select n, 'Member ' || n from generate_series(1, 45) n;
insert into member (id, name) values (46, 'MEMBER 7'), (47, 'Last');
