-- Bearer keys for members that speak HTTP instead of holding a socket.
create table mesh_api_key (
    id text primary key,
    mesh_id text not null,
    member_id text not null,
    label text not null,
    token_hash bytea not null unique,
    may_send bigint not null,
    may_receive bigint not null,
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint
);
create index mesh_api_key_by_mesh on mesh_api_key (mesh_id);
