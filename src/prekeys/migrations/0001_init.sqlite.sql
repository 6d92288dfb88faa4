-- Times are milliseconds since 1970 (UTC). Keys are raw bytes in the suite's wire form.
create table shade_server_identities (
    address text primary key,
    suite integer not null,
    signing_key blob not null,
    dh_key blob not null,
    dh_signature blob,
    registration_id integer,
    state_signed_at integer not null,
    one_time_reserve integer not null default 0,
    kem_reserve integer not null default 0,
    last_resort_used_at integer,
    created_at integer not null,
    last_activity_at integer not null,
    last_owner_activity_at integer not null,
    last_fetch_at integer
) without rowid;
create index shade_server_identities_by_key on shade_server_identities (signing_key);
create index shade_server_identities_by_activity on shade_server_identities (last_activity_at);

-- kind 0: the signed prekey; kind 1: the last-resort KEM prekey. retired_at null: the one served.
create table shade_server_signed_prekeys (
    address text not null,
    kind integer not null,
    key_id integer not null,
    algorithm text not null default '',
    public_key blob not null,
    signature blob not null,
    created_at integer not null,
    uploaded_at integer not null,
    retired_at integer,
    primary key (address, kind, key_id)
) without rowid;
create unique index shade_server_signed_prekeys_current
    on shade_server_signed_prekeys (address, kind) where retired_at is null;
create index shade_server_signed_prekeys_retired
    on shade_server_signed_prekeys (retired_at) where retired_at is not null;

-- kind 0: elliptic curve; kind 1: KEM. A key handed out keeps its row (issued_at set), so that its
-- id is never issued again even when a client uploads it once more. seq is random within a batch.
create table shade_server_one_time_prekeys (
    seq integer primary key autoincrement,
    address text not null,
    kind integer not null,
    key_id integer not null,
    algorithm text not null default '',
    public_key blob not null,
    signature blob,
    uploaded_at integer not null,
    issued_at integer,
    unique (address, kind, key_id)
);
create index shade_server_one_time_prekeys_stock
    on shade_server_one_time_prekeys (address, kind, seq) where issued_at is null;
create index shade_server_one_time_prekeys_issued
    on shade_server_one_time_prekeys (issued_at) where issued_at is not null;

-- Answers to idempotent claims, kept for ten minutes.
create table shade_server_claims (
    claim_hash blob primary key,
    signing_key blob not null,
    bundle text not null,
    expires_at integer not null
) without rowid;
create index shade_server_claims_by_expiry on shade_server_claims (expires_at);

create table shade_server_replay (
    hash blob primary key,
    expires_at integer not null
) without rowid;
create index shade_server_replay_by_expiry on shade_server_replay (expires_at);

create table shade_server_tombstones (
    address text primary key,
    signing_key_hash blob not null,
    at integer not null,
    reason text not null
) without rowid;

create table shade_server_state (
    name text primary key,
    value integer not null
) without rowid;
insert into shade_server_state (name, value) values ('restore_epoch', 0);

-- Key transparency (kt/leaf.h, kt/merkle.h). `salt` and the keys open a leaf's commitment; they are
-- erased with the identity, and the leaf stays, mute.
create table shade_server_kt_leaves (
    leaf_index integer primary key,
    leaf blob not null,
    address text not null,
    salt blob,
    suite integer not null,
    signing_key blob,
    dh_key blob,
    dh_signature blob
);
create index shade_server_kt_leaves_by_address on shade_server_kt_leaves (address, leaf_index);

-- Complete subtrees only: written once, never changed.
create table shade_server_kt_nodes (
    level integer not null,
    idx integer not null,
    hash blob not null,
    primary key (level, idx)
) without rowid;

-- One row: the tree as of the last leaf. log_key: whose signatures this log carries.
create table shade_server_kt_head (
    id integer primary key,
    tree_size integer not null,
    peaks blob not null,
    log_key blob
);
insert into shade_server_kt_head (id, tree_size, peaks) values (1, 0, x'');

create table shade_server_kt_checkpoints (
    tree_size integer primary key,
    note text not null,
    signed_at integer not null
);
