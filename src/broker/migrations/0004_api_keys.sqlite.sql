-- Bearer keys for members that speak HTTP instead of holding a socket.
create table mesh_api_key (
    id text primary key,
    mesh_id text not null,
    member_id text not null,
    label text not null,
    token_hash blob not null unique,
    may_send integer not null,
    may_receive integer not null,
    created_at integer not null,
    expires_at integer,
    revoked_at integer
) without rowid;
create index mesh_api_key_by_mesh on mesh_api_key (mesh_id);
