-- Several nodes on one database. Times of nodes are the database's, all others those of the node
-- that wrote them.
create table mesh_node (
    id text primary key,
    alive_since bigint not null,
    seen_at bigint not null,
    degraded bigint not null default 0
);

-- Who is connected, or may come back, and at which node. version grows with every change, so that
-- what nodes tell each other about it can be put in order; arrivals with every connection of its
-- peer, so that a node that has lost it cannot change it.
create table mesh_presence (
    id text primary key,
    node_id text not null,
    mesh_id text not null,
    member_id text not null,
    member_key bytea not null,
    session_key bytea,
    session_id text not null,
    profile text not null,
    status bigint not null,
    status_source bigint not null,
    status_at bigint not null,
    connected_at bigint not null,
    lease_ends_at bigint,
    version bigint not null,
    arrivals bigint not null
);
create index mesh_presence_by_mesh on mesh_presence (mesh_id, member_id);
create index mesh_presence_by_node on mesh_presence (node_id);

-- Hellos that were admitted, until their time has passed.
create table mesh_replay (
    key bytea primary key,
    expires_at bigint not null
);
create index mesh_replay_by_end on mesh_replay (expires_at);

-- The node that pushes to live_recipients; null: the only one.
alter table mesh_message add column live_node text;
