-- The records of all meshes, each mesh's a chain of hashes (audit.h).
create table mesh_audit (
    id integer primary key autoincrement,
    mesh_id text not null,
    type text not null,
    actor_member_id text,
    payload text not null,
    prev_hash text not null,
    hash text not null,
    created_at integer not null
);
create index mesh_audit_by_mesh on mesh_audit (mesh_id, id);

-- Where the chain of a mesh ends and where what is kept of it begins. Whoever appends holds the
-- row's lock, so that no two records follow the same one.
create table mesh_audit_head (
    mesh_id text primary key,
    hash text not null,
    length integer not null,
    start_hash text not null,
    trimmed integer not null default 0
) without rowid;
