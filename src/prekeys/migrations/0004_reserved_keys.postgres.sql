-- Which keys in stock only identified callers get: marked when the stock is refilled, because a share
-- that is counted at each fetch goes wrong when fetches meet. Before, identities held the number.
alter table shade_server_one_time_prekeys add column reserved bigint not null default 0;
update shade_server_one_time_prekeys set reserved = 1 where seq in
    (select ranked.seq from
        (select seq, address, kind,
            row_number() over (partition by address, kind order by seq desc) as place
         from shade_server_one_time_prekeys where issued_at is null) as ranked
     join shade_server_identities i on i.address = ranked.address
     where ranked.place <= case ranked.kind when 0 then i.one_time_reserve else i.kem_reserve end);
alter table shade_server_identities drop column one_time_reserve;
alter table shade_server_identities drop column kem_reserve;
-- What was told of a kind's stock since its last refill: 1 that it is low, 2 that it is exhausted.
alter table shade_server_identities add column one_time_told bigint not null default 0;
alter table shade_server_identities add column kem_told bigint not null default 0;
