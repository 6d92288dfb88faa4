-- When a key was first served because a stock had run out: it stands in for a one-time key from then
-- on, until it is replaced. Before, the identity had one such time for all its keys.
alter table shade_server_signed_prekeys add column used_alone_at integer;
update shade_server_signed_prekeys set used_alone_at =
    (select i.last_resort_used_at from shade_server_identities i
     where i.address = shade_server_signed_prekeys.address)
    where retired_at is null;
alter table shade_server_identities drop column last_resort_used_at;
