-- One-time key ids that an identity handed out at an address which passed to another identity. They
-- return to shade_server_one_time_prekeys with that identity, so that it never issues them again.
create table shade_server_former_prekeys (
    address text not null,
    signing_key_hash blob not null,
    kind integer not null,
    key_id integer not null,
    issued_at integer not null,
    primary key (address, signing_key_hash, kind, key_id)
) without rowid;
create index shade_server_former_prekeys_issued on shade_server_former_prekeys (issued_at);
