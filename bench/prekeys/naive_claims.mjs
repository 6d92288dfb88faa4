// What one writes first: a handler that claims a one-time key in a transaction of its own, on SQLite
// with the same durability (WAL, synchronous=FULL). bun naive_claims.mjs PORT FILE DEVICES KEYS_EACH
import { Database } from 'bun:sqlite';

const [port, file, devices, keysEach] = process.argv.slice(2);
const db = new Database(file, { create: true });
db.exec('pragma journal_mode = wal; pragma synchronous = full; pragma mmap_size = 268435456');
db.exec(`
create table identities (
    address text primary key, signing_key blob not null, dh_key blob not null,
    dh_signature blob not null, last_fetch_at integer) without rowid;
create table signed_prekeys (
    address text primary key, key_id integer not null, public_key blob not null,
    signature blob not null) without rowid;
create table one_time_prekeys (
    seq integer primary key, address text not null, key_id integer not null,
    public_key blob not null, issued_at integer);
create index stock on one_time_prekeys (address, seq) where issued_at is null;
begin;
with recursive n(i) as (select 0 union all select i + 1 from n where i < ${devices} - 1)
    insert into identities select 'bench-' || i || ':1', randomblob(32), randomblob(32),
    randomblob(64), 0 from n;
insert into signed_prekeys select address, 1, randomblob(32), randomblob(64) from identities;
with recursive n(i) as (select 1 union all select i + 1 from n where i < ${keysEach})
    insert into one_time_prekeys (address, key_id, public_key)
    select address, i, randomblob(32) from identities, n;
commit;
pragma wal_checkpoint(truncate);
`);

const profile = db.prepare(
    'select i.signing_key, i.dh_key, i.dh_signature, s.key_id, s.public_key, s.signature ' +
        'from identities i join signed_prekeys s on s.address = i.address where i.address = ?',
);
const pop = db.prepare(
    'update one_time_prekeys set issued_at = ?2 where seq = (select seq from one_time_prekeys ' +
        'where address = ?1 and issued_at is null order by seq limit 1) returning key_id, public_key',
);
const claim = db.transaction((address, now) => {
    const device = profile.get(address);
    return device && { device, key: pop.get(address, now) };
});
const b64 = (bytes) => Buffer.from(bytes).toString('base64');

Bun.serve({
    hostname: '127.0.0.1',
    port: Number(port),
    routes: {
        '/healthz': () => Response.json({ status: 'ok' }),
        '/v1/keys/bundle/:address': (request) => {
            const { address } = request.params;
            const claimed = claim.immediate(address, Date.now());
            if (!claimed?.key) {
                return Response.json({ error: 'not found' }, { status: 404 });
            }
            const { device, key } = claimed;
            return Response.json({
                address,
                suite: 'x3dh-ed25519',
                identitySigningKey: b64(device.signing_key),
                identityDhKey: b64(device.dh_key),
                identityDhKeySignature: b64(device.dh_signature),
                signedPreKey: {
                    keyId: device.key_id,
                    publicKey: b64(device.public_key),
                    signature: b64(device.signature),
                },
                oneTimePreKey: { keyId: key.key_id, publicKey: b64(key.public_key) },
            });
        },
    },
});
