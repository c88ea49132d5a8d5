-- The new column, which the version before does not fill.

alter table member add column folded text unique;
