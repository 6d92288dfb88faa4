-- One-time key ids that an identity handed out at an address which passed to another identity. They
-- return to shade_server_one_time_prekeys with that identity, so that it never issues them again.
create table shade_server_former_prekeys (
    address text not null,
    signing_key_hash bytea not null,
    kind bigint not null,
    key_id bigint not null,
    issued_at bigint not null,
    primary key (address, signing_key_hash, kind, key_id)
);
create index shade_server_former_prekeys_issued on shade_server_former_prekeys (issued_at);
