-- Instructions that members share by name. tags and the like are JSON arrays of strings.
create table mesh_skill (
    mesh_id text not null,
    name text not null,
    description text not null,
    instructions text not null,
    tags text not null,
    shared_by text not null,
    shared_by_name text not null,
    created_at integer not null,
    updated_at integer not null,
    primary key (mesh_id, name)
) without rowid;

-- What each member is working on.
create table mesh_context (
    mesh_id text not null,
    member_id text not null,
    member_name text not null,
    summary text not null,
    files_read text not null,
    key_findings text not null,
    tags text not null,
    updated_at integer not null,
    primary key (mesh_id, member_id)
) without rowid;
