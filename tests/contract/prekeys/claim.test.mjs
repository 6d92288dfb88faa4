// POST /v1/keys/claim: many bundles at once, repeatable without burning keys.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import { b64, b64url, Device, freshAddress, unb64 } from '../../support/client.mjs';
import { expectDistinct, expectError, expectField, expectOutcome } from '../../support/expect.mjs';
import { onEachStore } from '../../support/stores.mjs';

const claimId = () => b64(crypto.randomBytes(16));

async function registered(api, options = {}, stock = { oneTime: 5 }) {
    const device = new Device(options);
    expectOutcome(await api.register(device, stock), 201);
    return device;
}

onEachStore('claim', (context) => {
    test('results stand in request order, unknown addresses among them', async () => {
        const a = await registered(context.api);
        const b = await registered(context.api, { suite: 'pqxdh-xeddsa' });
        const claims = [b.address, freshAddress(), a.address].map((address) => ({
            address,
            claimId: claimId(),
        }));
        const { results } = expectOutcome(await context.api.claim(claims), 200);
        assert.deepEqual(
            results.map(({ address, claimId: id, status }) => ({ address, id, status })),
            claims.map(({ address, claimId: id }, i) => ({
                address,
                id,
                status: i === 1 ? 404 : 200,
            })),
        );
        assert.equal(results[0].bundle.address, b.address);
        assert.equal(results[1].error.code, 'SHADE_NOT_FOUND');
        assert.equal(results[2].bundle.oneTimeStatus, 'issued');
    });

    test('the same claim again gives the same bundle and consumes nothing', async () => {
        const device = await registered(
            context.api,
            { suite: 'pqxdh-ed25519' },
            { oneTime: 3, kemOneTime: 3 },
        );
        const claims = [{ address: device.address, claimId: claimId() }];
        const first = expectOutcome(await context.api.claim(claims), 200);
        for (let i = 0; i < 3; i += 1) {
            const again = expectOutcome(await context.api.claim(claims), 200);
            const strip = ({ kt, ...rest }) => rest;
            assert.deepEqual(strip(again.results[0].bundle), strip(first.results[0].bundle));
        }
        const count = expectOutcome(await context.api.count(device), 200);
        assert.equal(count.oneTimePreKeyCount, 2);
        assert.equal(count.kemOneTimePreKeyCount, 2);
    });

    test('the same claim gives the same bundle after a restart', async () => {
        const device = await registered(context.api);
        const claims = [{ address: device.address, claimId: claimId() }];
        const first = expectOutcome(await context.api.claim(claims), 200);
        await context.backend.restart();
        const again = expectOutcome(await context.api.claim(claims), 200);
        assert.deepEqual(
            again.results[0].bundle.oneTimePreKey,
            first.results[0].bundle.oneTimePreKey,
        );
        const count = expectOutcome(await context.api.count(device), 200);
        assert.equal(count.oneTimePreKeyCount, 4);
    });

    test('after ten minutes a claim is forgotten, and its id asks for another key', async () => {
        const device = await registered(context.api);
        const claims = [{ address: device.address, claimId: claimId() }];
        const first = expectOutcome(await context.api.claim(claims), 200);
        await context.server.stop();
        const [[left]] = await context.backend.sql(
            'SELECT max(expires_at) FROM shade_server_claims',
        );
        const minutes = (Number(left) - Date.now()) / 60_000;
        assert.ok(minutes > 9 && minutes <= 10.1, `kept for ${minutes} minutes`);
        await context.backend.sql('UPDATE shade_server_claims SET expires_at = 1');
        await context.server.launch();
        context.backend.connect();
        const again = expectOutcome(await context.api.claim(claims), 200);
        assert.notEqual(
            again.results[0].bundle.oneTimePreKey.keyId,
            first.results[0].bundle.oneTimePreKey.keyId,
        );
    });

    test('a claim answered before an identity change does not answer after it', async () => {
        const device = await registered(context.api);
        const claims = [{ address: device.address, claimId: claimId() }];
        expectOutcome(await context.api.claim(claims), 200);
        const rotation = device.rotation({ oneTime: 1 });
        expectOutcome(
            await context.api.write(device, 'POST', '/v1/keys/rotate-identity', rotation.body, {
                signedAt: rotation.signedAt,
            }),
            200,
        );
        const { results } = expectOutcome(await context.api.claim(claims), 200);
        assert.equal(
            results[0].bundle.identitySigningKey,
            b64(rotation.next.identity.keyBytes),
            'the old identity is still handed out',
        );
    });

    test('the same claim sent sixteen times at once burns one key', async () => {
        // A race is not lost every time, so it is run a few times.
        for (let round = 0; round < 8; round += 1) {
            const device = await registered(context.api);
            const claims = [{ address: device.address, claimId: claimId() }];
            const answers = await Promise.all(
                Array.from({ length: 16 }, () => context.api.claim(claims)),
            );
            const ids = answers.map(
                (answer) => expectOutcome(answer, 200).results[0].bundle.oneTimePreKey?.keyId,
            );
            assert.equal(new Set(ids).size, 1, `different keys for one claim: ${ids}`);
            const count = expectOutcome(await context.api.count(device), 200);
            assert.equal(count.oneTimePreKeyCount, 4);
        }
    });

    test('one id for two addresses is two claims', async () => {
        const a = await registered(context.api);
        const b = await registered(context.api);
        const id = claimId();
        const { results } = expectOutcome(
            await context.api.claim([
                { address: a.address, claimId: id },
                { address: b.address, claimId: id },
            ]),
            200,
        );
        assert.deepEqual(
            results.map(({ bundle }) => bundle.address),
            [a.address, b.address],
        );
    });

    test('one address twice in a request gives two keys for two ids, one for one id', async () => {
        const device = await registered(context.api);
        const same = claimId();
        const claims = [same, same, claimId()].map((id) => ({
            address: device.address,
            claimId: id,
        }));
        const { results } = expectOutcome(await context.api.claim(claims), 200);
        const ids = results.map(({ bundle }) => bundle.oneTimePreKey.keyId);
        assert.equal(ids[0], ids[1]);
        assert.notEqual(ids[0], ids[2]);
        const count = expectOutcome(await context.api.count(device), 200);
        assert.equal(count.oneTimePreKeyCount, 3);
    });

    test('claims in opposite orders at once do not deadlock', async () => {
        const devices = [];
        for (let i = 0; i < 8; i += 1) {
            devices.push(await registered(context.api, {}, { oneTime: 40 }));
        }
        const claimsOf = (list) => list.map(({ address }) => ({ address, claimId: claimId() }));
        const rounds = Array.from({ length: 36 }, (_, i) =>
            context.api.claim(claimsOf(i % 2 === 0 ? devices : [...devices].reverse())),
        );
        const answers = await Promise.all(rounds);
        const keys = answers.flatMap((answer) =>
            expectOutcome(answer, 200).results.map(({ bundle }) => bundle.oneTimePreKey?.publicKey),
        );
        expectDistinct(keys.filter(Boolean), 'one-time key');
    });

    test('fifty claims are served, fifty-one and none are not', async () => {
        const device = await registered(context.api, {}, { oneTime: 60 });
        const many = (count) =>
            Array.from({ length: count }, () => ({
                address: device.address,
                claimId: claimId(),
            }));
        const { results } = expectOutcome(await context.api.claim(many(50)), 200);
        expectDistinct(
            results.map(({ bundle }) => bundle.oneTimePreKey.keyId),
            'key id',
        );
        expectField(await context.api.claim(many(51)), 'claims');
        expectField(await context.api.claim([]), 'claims');
    });

    test('a claim id is 16 bytes, in any base64', async () => {
        const device = await registered(context.api);
        const id = claimId();
        const first = expectOutcome(
            await context.api.claim([{ address: device.address, claimId: id }]),
            200,
        );
        const spelled = b64url(unb64(id));
        const again = expectOutcome(
            await context.api.claim([{ address: device.address, claimId: spelled }]),
            200,
        );
        assert.deepEqual(
            again.results[0].bundle.oneTimePreKey,
            first.results[0].bundle.oneTimePreKey,
        );
        for (const bad of [b64(Buffer.alloc(15)), b64(Buffer.alloc(17)), '', '****', 7, null]) {
            const response = await context.api.claim([{ address: device.address, claimId: bad }]);
            expectField(response, 'claims[0].claimId');
        }
    });

    test('a bad address spoils the request before anything is consumed', async () => {
        const device = await registered(context.api);
        const claims = [
            { address: device.address, claimId: claimId() },
            { address: 'no such/thing', claimId: claimId() },
        ];
        expectError(await context.api.claim(claims), 400, 'SHADE_BAD_ADDRESS');
        const count = expectOutcome(await context.api.count(device), 200);
        assert.equal(count.oneTimePreKeyCount, 5);
    });

    test('an identified claim, and its replay', async () => {
        const device = await registered(context.api);
        const requester = await registered(context.api, { suite: 'x3dh-xeddsa' });
        const claims = [{ address: device.address, claimId: claimId() }];
        const body = Buffer.from(JSON.stringify({ claims }));
        const headers = requester.requestHeaders('POST', '/v1/keys/claim', body);
        const send = () =>
            context.api.request('POST', '/v1/keys/claim', {
                body,
                contentType: 'application/json',
                headers,
            });
        expectOutcome(await send(), 200);
        expectError(await send(), 409, 'SHADE_REPLAY');
        // Signed anew, the same claim is repeated.
        expectOutcome(await context.api.claimAs(requester, claims), 200);
        const count = expectOutcome(await context.api.count(device), 200);
        assert.equal(count.oneTimePreKeyCount, 4);
    });

    test('scheme A does not identify a claim', async () => {
        const device = await registered(context.api);
        const claims = [{ address: device.address, claimId: claimId() }];
        const json = device.seal({ claims });
        const response = await context.api.request('POST', '/v1/keys/claim', { json });
        assert.ok(['200', '401 SHADE_UNAUTHORIZED'].includes(response.outcome), response.text);
    });
});
