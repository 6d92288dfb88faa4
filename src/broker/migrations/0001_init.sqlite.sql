-- Times are milliseconds since 1970 (UTC). Keys are 32 raw bytes. Ids are 32 characters of base62.
create table mesh_mesh (
    id text primary key,
    name text not null,
    slug text not null unique,
    owner_key blob not null,
    owner_secret blob not null,
    root_key blob not null,
    created_at integer not null,
    archived_at integer
) without rowid;

create table mesh_member (
    id text primary key,
    mesh_id text not null,
    key blob not null,
    display_name text not null,
    role integer not null,
    default_groups text not null default '[]',
    joined_at integer not null,
    last_seen_at integer,
    revoked_at integer
) without rowid;
create unique index mesh_member_by_key on mesh_member (mesh_id, key);

-- Whose session a key is, so that nobody else can receive under it.
create table mesh_session_key (
    mesh_id text not null,
    key blob not null,
    member_id text not null,
    used_at integer not null,
    primary key (mesh_id, key)
) without rowid;
create index mesh_session_key_by_use on mesh_session_key (used_at);

create table mesh_invite (
    id text primary key,
    mesh_id text not null,
    token_hash blob not null unique,
    role integer not null,
    max_uses integer not null,
    used_count integer not null default 0,
    expires_at integer not null,
    created_at integer not null,
    revoked_at integer
) without rowid;
create index mesh_invite_by_mesh on mesh_invite (mesh_id);

-- recipient set: a direct envelope, queued until delivered_at. recipient null: to many;
-- live_recipients holds the keys it was pushed to at once, until all of them have it. urgent:
-- priority now, which goes out under every status.
create table mesh_message (
    seq integer primary key autoincrement,
    id text not null unique,
    mesh_id text not null,
    sender_member_id text not null,
    sender_key blob not null,
    target_spec text not null,
    priority integer not null,
    urgent integer not null,
    nonce text not null,
    ciphertext text not null,
    client_message_id text,
    request_fingerprint text,
    reply_to text,
    created_at integer not null,
    expires_at integer not null,
    recipient blob,
    claimed_by text,
    claimed_until integer,
    delivered_at integer,
    live_recipients blob
);
-- Claimed envelopes are not in it: one that is pushed as soon as it is stored never was.
create index mesh_message_queue on mesh_message (mesh_id, recipient, urgent, seq)
    where recipient is not null and delivered_at is null and claimed_by is null;
create index mesh_message_claimed on mesh_message (seq)
    where claimed_by is not null and delivered_at is null;
create unique index mesh_message_by_client_id on mesh_message (sender_member_id, client_message_id)
    where client_message_id is not null;
create index mesh_message_live on mesh_message (seq) where live_recipients is not null;

-- Envelopes to many, for those who were not there or left before they had it. Gone once delivered.
create table mesh_delivery (
    mesh_id text not null,
    recipient blob not null,
    urgent integer not null,
    seq integer not null,
    claimed_by text,
    claimed_until integer,
    primary key (mesh_id, recipient, urgent, seq)
) without rowid;
create index mesh_delivery_by_message on mesh_delivery (seq);

create table mesh_state (
    mesh_id text not null,
    key text not null,
    value text not null,
    updated_by text not null,
    updated_by_name text not null,
    updated_at integer not null,
    primary key (mesh_id, key)
) without rowid;
