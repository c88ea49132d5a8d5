-- What may only come when every name has been folded.

create table folded_members as select count(folded)::int as members from member;
