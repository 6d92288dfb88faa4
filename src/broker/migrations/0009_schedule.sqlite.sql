-- What kind of push an envelope becomes; null for what a peer sent itself.
alter table mesh_message add column subtype text;

-- Envelopes to be sent later. message: in plain text, else nonce and ciphertext are the client's.
-- cron null: once. claimed_until: a node is sending it.
create table mesh_schedule (
    id text primary key,
    mesh_id text not null,
    member_id text not null,
    sender_key blob not null,
    target_spec text not null,
    priority integer not null,
    message text,
    nonce text not null,
    ciphertext text not null,
    cron text,
    due_at integer not null,
    fired_count integer not null default 0,
    claimed_until integer,
    created_at integer not null
) without rowid;
create index mesh_schedule_by_member on mesh_schedule (mesh_id, member_id, due_at);
create index mesh_schedule_due on mesh_schedule (due_at);
