-- What several processes need to show the log's events each once, though the bus between them was away.

-- Which socket an event came from, so that its own echo is left out also where the event is read from here.
alter table event add column origin text;

-- The places that no leader gave away: a cursor inside them is of another history, of a backup since replaced.
alter table event_log add column gaps int8multirange not null default '{}';
