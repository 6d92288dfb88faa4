-- Notes of a mesh. tags is a JSON array of strings.
create table mesh_memory (
    seq integer primary key autoincrement,
    id text not null unique,
    mesh_id text not null,
    content text not null,
    tags text not null,
    remembered_by text not null,
    remembered_by_name text not null,
    remembered_at integer not null
);
create index mesh_memory_by_mesh on mesh_memory (mesh_id);

-- The words of the notes, kept by memory_search.cc. The mesh is a word too, so that a search reads
-- no other mesh's notes.
create virtual table mesh_memory_text using fts5 (
    mesh_id, content, content = 'mesh_memory', content_rowid = 'seq', tokenize = 'porter unicode61'
);
