-- The relay claims by one index what was never tried (null, in order) and what is due again; rows of kinds that its
-- version does not have stand at the far end, where no claim passes over them.

create index outbox_next on outbox (next_try_at, id);
drop index outbox_due;
