-- Opened to other identities by the operator. Before, such a tombstone had the time 0, which a long
-- quarantine still reached.
alter table shade_server_tombstones add column released bigint not null default 0;
update shade_server_tombstones set released = 1 where at = 0;
create index shade_server_tombstones_by_time on shade_server_tombstones (at);
