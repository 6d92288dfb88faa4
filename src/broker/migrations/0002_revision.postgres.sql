-- revision grows with every change of a mesh or of who is its member, so that every process that
-- serves it notices; changed_at says where to look.
alter table mesh_mesh add column revision bigint not null default 0;
alter table mesh_mesh add column changed_at bigint not null default 0;
create index mesh_mesh_by_change on mesh_mesh (changed_at);
