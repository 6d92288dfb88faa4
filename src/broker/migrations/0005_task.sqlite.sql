-- tags is a JSON array of strings. assignee and claimed_by_name are empty for nobody.
create table mesh_task (
    id text primary key,
    mesh_id text not null,
    title text not null,
    assignee text not null,
    priority text not null,
    tags text not null,
    status text not null,
    created_by_name text not null,
    claimed_by text,
    claimed_by_name text not null default '',
    result text,
    created_at integer not null,
    claimed_at integer,
    completed_at integer
) without rowid;
create index mesh_task_by_age on mesh_task (mesh_id, created_at, id);
create index mesh_task_by_status on mesh_task (mesh_id, status, completed_at, id);
