-- Live recipients that several envelopes of one transaction share; mesh_message.live_recipients is
-- then the id, in eight bytes. Gone with the last envelope that refers to it.
create table mesh_live_list (
    id integer primary key,
    recipients blob not null
);
