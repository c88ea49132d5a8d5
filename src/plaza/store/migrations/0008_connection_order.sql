-- Lists of connections are ordered by position and then by id: several may have one position.

create index connection_received_order on connection (org, target, status, position desc, id desc) include (requester);
create index connection_sent_order on connection (org, requester, status, position desc, id desc) include (target);
drop index connection_received;
drop index connection_sent;
