-- What kind of push an envelope becomes; null for what a peer sent itself.
alter table mesh_message add column subtype text;

-- Envelopes to be sent later. message: in plain text, else nonce and ciphertext are the client's.
-- cron null: once. claimed_until: a node is sending it.
create table mesh_schedule (
    id text primary key,
    mesh_id text not null,
    member_id text not null,
    sender_key bytea not null,
    target_spec text not null,
    priority bigint not null,
    message text,
    nonce text not null,
    ciphertext text not null,
    cron text,
    due_at bigint not null,
    fired_count bigint not null default 0,
    claimed_until bigint,
    created_at bigint not null
);
create index mesh_schedule_by_member on mesh_schedule (mesh_id, member_id, due_at);
create index mesh_schedule_due on mesh_schedule (due_at);
