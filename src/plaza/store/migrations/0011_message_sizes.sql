-- Bytes of content and attachments as the server encodes them: what a page of messages is measured by. Null where a
-- version before this one wrote the message, or where it was deleted for both.
alter table message add column size integer;
