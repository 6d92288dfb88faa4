// GET and HEAD /v1/keys/bundle: what a bundle holds, that every one-time key goes out once, and what
// happens when there are none.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import {
    b64,
    Device,
    ed25519Verify,
    freshAddress,
    hasKem,
    isXeddsa,
    kemKeyMessage,
    kSuites,
    signedPreKeyMessage,
    unb64,
    xeddsaVerify,
} from '../../support/client.mjs';
import { expectDistinct, expectError, expectOutcome, sorted } from '../../support/expect.mjs';
import { onEachStore } from '../../support/stores.mjs';

const kDay = 86_400_000;

onEachStore('bundle', (context) => {
    // The scenario of the original announcement: two fetches, a restart, eighteen left.
    test('20 uploaded, 2 fetched, restart, 18 left', async () => {
        const device = new Device();
        const uploaded = device.registration({ oneTime: 20 });
        expectOutcome(await context.api.write(device, 'POST', '/v1/keys/register', uploaded), 201);
        const first = expectOutcome(await context.api.bundle(device.address), 200);
        const second = expectOutcome(await context.api.bundle(device.address), 200);
        await context.backend.restart();
        const count = expectOutcome(await context.api.count(device), 200);
        assert.equal(count.oneTimePreKeyCount, 18);
        const third = expectOutcome(await context.api.bundle(device.address), 200);
        const keys = [first, second, third].map(({ oneTimePreKey }) => oneTimePreKey);
        expectDistinct(
            keys.map(({ keyId }) => keyId),
            'key id',
        );
        const byId = new Map(uploaded.oneTimePreKeys.map((key) => [key.keyId, key]));
        keys.forEach((key) => assert.deepEqual(key, byId.get(key.keyId)));
        assert.deepEqual(
            { ...third, oneTimePreKey: 0, issuedAt: 0, kt: 0 },
            { ...first, oneTimePreKey: 0, issuedAt: 0, kt: 0 },
        );
    });

    for (const suite of kSuites) {
        test(`${suite}: everything uploaded comes back, and verifies`, async () => {
            const device = new Device({ suite });
            const uploaded = device.registration({ oneTime: 1, kemOneTime: 1 });
            expectOutcome(
                await context.api.write(device, 'POST', '/v1/keys/register', uploaded),
                201,
            );
            const before = Date.now();
            const bundle = expectOutcome(await context.api.bundle(device.address), 200);
            assert.equal(bundle.address, device.address);
            assert.equal(bundle.suite, suite);
            assert.equal(bundle.registrationId, device.registrationId);
            assert.deepEqual(bundle.signedPreKey, device.signedPreKey);
            assert.deepEqual(bundle.oneTimePreKey, uploaded.oneTimePreKeys[0]);
            assert.equal(bundle.oneTimeStatus, 'issued');
            assert.ok(bundle.issuedAt >= before - 5_000 && bundle.issuedAt <= Date.now() + 5_000);
            const identity = isXeddsa(suite) ? bundle.identityKey : bundle.identitySigningKey;
            assert.equal(identity, b64(device.identity.keyBytes));
            const verify = isXeddsa(suite) ? xeddsaVerify : ed25519Verify;
            const spk = bundle.signedPreKey;
            assert.ok(
                verify(
                    unb64(identity),
                    signedPreKeyMessage(suite, spk, unb64(spk.publicKey)),
                    unb64(spk.signature),
                ),
            );
            if (hasKem(suite)) {
                assert.deepEqual(bundle.kemPreKey, {
                    ...uploaded.kemOneTimePreKeys[0],
                    lastResort: false,
                });
                assert.ok(
                    verify(
                        unb64(identity),
                        kemKeyMessage(suite, bundle.kemPreKey, unb64(bundle.kemPreKey.publicKey)),
                        unb64(bundle.kemPreKey.signature),
                    ),
                );
            } else {
                assert.equal(bundle.kemPreKey, null);
            }
        });

        test(`${suite}: an empty stock still gives a bundle, for ever`, async () => {
            const device = new Device({ suite });
            expectOutcome(await context.api.register(device, { oneTime: 1, kemOneTime: 1 }), 201);
            expectOutcome(await context.api.bundle(device.address), 200);
            for (let i = 0; i < 3; i += 1) {
                const bundle = expectOutcome(await context.api.bundle(device.address), 200);
                assert.equal(bundle.oneTimePreKey, null);
                assert.equal(bundle.oneTimeStatus, 'exhausted');
                if (hasKem(suite)) {
                    assert.deepEqual(bundle.kemPreKey, {
                        ...device.kemLastResortPreKey,
                        lastResort: true,
                    });
                }
            }
            const count = expectOutcome(await context.api.count(device), 200);
            assert.equal(count.oneTimePreKeyCount, 0);
            assert.equal(count.lastResortUsed, true);
        });
    }

    test('the two kinds run out on their own', async () => {
        const device = new Device({ suite: 'pqxdh-ed25519' });
        expectOutcome(await context.api.register(device, { oneTime: 2, kemOneTime: 1 }), 201);
        const first = expectOutcome(await context.api.bundle(device.address), 200);
        assert.equal(first.kemPreKey.lastResort, false);
        const second = expectOutcome(await context.api.bundle(device.address), 200);
        assert.equal(second.oneTimeStatus, 'issued');
        assert.equal(second.kemPreKey.lastResort, true);
        const third = expectOutcome(await context.api.bundle(device.address), 200);
        assert.equal(third.oneTimeStatus, 'exhausted');
        assert.equal(third.kemPreKey.lastResort, true);
    });

    test('16 parallel fetchers, 100 keys: all distinct, then null, all 200', async () => {
        const device = new Device({ suite: 'pqxdh-ed25519' });
        expectOutcome(await context.api.register(device, { oneTime: 100, kemOneTime: 30 }), 201);
        const bundles = [];
        let left = 160;
        const fetcher = async () => {
            while (left > 0) {
                left -= 1;
                bundles.push(expectOutcome(await context.api.bundle(device.address), 200));
            }
        };
        await Promise.all(Array.from({ length: 16 }, fetcher));
        // While the last rows are locked a claim may miss one: that only degrades, so what is left
        // must come out afterwards.
        const count = expectOutcome(await context.api.count(device), 200);
        for (
            let i = 0;
            i < Math.max(count.oneTimePreKeyCount, count.kemOneTimePreKeyCount);
            i += 1
        ) {
            bundles.push(expectOutcome(await context.api.bundle(device.address), 200));
        }
        const issued = bundles.filter((bundle) => bundle.oneTimePreKey);
        const kem = bundles.filter((bundle) => !bundle.kemPreKey.lastResort);
        assert.equal(
            expectDistinct(
                issued.map(({ oneTimePreKey }) => oneTimePreKey.publicKey),
                'one-time key',
            ),
            100,
        );
        assert.equal(
            expectDistinct(
                kem.map(({ kemPreKey }) => kemPreKey.publicKey),
                'KEM key',
            ),
            30,
        );
        bundles
            .filter((bundle) => !bundle.oneTimePreKey)
            .forEach((bundle) => assert.equal(bundle.oneTimeStatus, 'exhausted'));
    });

    test('keys go out by upload batch, and in random order within one', async () => {
        const device = new Device();
        expectOutcome(await context.api.register(device, { oneTime: 30 }), 201);
        const oneTimePreKeys = device.newOneTimePreKeys(5, 10);
        expectOutcome(await context.api.replenish(device, { oneTimePreKeys }), 200);
        const ids = [];
        for (let i = 0; i < 35; i += 1) {
            const bundle = expectOutcome(await context.api.bundle(device.address), 200);
            ids.push(bundle.oneTimePreKey.keyId);
        }
        const firstBatch = Array.from({ length: 30 }, (_, i) => 100 + i);
        assert.deepEqual(sorted(ids.slice(0, 30)), firstBatch, 'the older batch goes first');
        assert.deepEqual(sorted(ids.slice(30)), [10, 11, 12, 13, 14]);
        assert.notDeepEqual(ids.slice(0, 30), firstBatch, 'sequential ids leak how many are gone');
    });

    test('HEAD tells whether an address is known and consumes nothing', async () => {
        const device = new Device();
        expectOutcome(await context.api.register(device, { oneTime: 2 }), 201);
        const path = `/v1/keys/bundle/${device.address}`;
        for (let i = 0; i < 4; i += 1) {
            expectOutcome(await context.api.request('HEAD', path), 200);
        }
        const unknown = await context.api.request('HEAD', '/v1/keys/bundle/nobody:1');
        assert.equal(unknown.status, 404);
        const count = expectOutcome(await context.api.count(device), 200);
        assert.equal(count.oneTimePreKeyCount, 2);
    });

    test('prefetching and OPTIONS consume nothing', async () => {
        const device = new Device();
        expectOutcome(await context.api.register(device, { oneTime: 2 }), 201);
        const path = `/v1/keys/bundle/${device.address}`;
        for (const headers of [
            { Purpose: 'prefetch' },
            { 'Sec-Purpose': 'prefetch' },
            { 'Sec-Purpose': 'prefetch;prerender' },
            { purpose: 'prefetch' },
        ]) {
            expectError(
                await context.api.request('GET', path, { headers }),
                403,
                'SHADE_FORBIDDEN',
                JSON.stringify(headers),
            );
        }
        const options = await context.api.request('OPTIONS', path);
        assert.equal(options.status, 204);
        assert.match(options.headers.allow, /\bGET\b/);
        const count = expectOutcome(await context.api.count(device), 200);
        assert.equal(count.oneTimePreKeyCount, 2);
    });

    test('an unknown address is 404, and answers like one that was deleted', async () => {
        const device = new Device();
        expectOutcome(await context.api.register(device), 201);
        expectOutcome(await context.api.delete(device), 204);
        const gone = expectError(await context.api.bundle(device.address), 404, 'SHADE_NOT_FOUND');
        const never = expectError(await context.api.bundle(freshAddress()), 404, 'SHADE_NOT_FOUND');
        assert.deepEqual({ ...gone, requestId: 0 }, { ...never, requestId: 0 });
    });

    test('the address in the path may be percent-encoded or not', async () => {
        const device = new Device();
        expectOutcome(await context.api.register(device, { oneTime: 2 }), 201);
        assert.ok(device.address.includes(':'));
        for (const spelled of [device.address, device.address.replace(':', '%3a')]) {
            expectOutcome(await context.api.request('GET', `/v1/keys/bundle/${spelled}`), 200);
        }
    });

    test('addresses that are none', async () => {
        for (const address of ['a b', 'a/b', 'ä:1', 'a'.repeat(129), '..%2f', '☃', "a'or'1"]) {
            const path = `/v1/keys/bundle/${encodeURIComponent(address)}`;
            expectError(
                await context.api.request('GET', path),
                400,
                'SHADE_BAD_ADDRESS',
                JSON.stringify(address),
            );
        }
        expectOutcome(await context.api.bundle('a'.repeat(128)), '404 SHADE_NOT_FOUND');
    });

    test('a signed prekey older than thirty days is announced', async () => {
        for (const [ageDays, expected] of [
            [31, '1'],
            [29, undefined],
        ]) {
            const device = new Device();
            device.newSignedPreKey(1, Date.now() - ageDays * kDay);
            expectOutcome(await context.api.register(device), 201);
            const response = await context.api.bundle(device.address);
            assert.equal(response.headers['shade-stale-prekey'], expected);
            expectOutcome(response, 200);
        }
    });

    test('key answers are never cached', async () => {
        const device = new Device();
        expectOutcome(await context.api.register(device, { oneTime: 1 }), 201);
        const answers = [
            await context.api.bundle(device.address),
            await context.api.identityOf(device.address),
            await context.api.count(device),
            await context.api.bundle('nobody:1'),
        ];
        answers.forEach((answer) => assert.equal(answer.headers['cache-control'], 'no-store'));
    });

    test('an identified caller gets the same form of bundle', async () => {
        const [alice, bob] = [new Device(), new Device({ suite: 'pqxdh-xeddsa' })];
        expectOutcome(await context.api.register(alice, { oneTime: 1 }), 201);
        expectOutcome(await context.api.register(bob, { oneTime: 1 }), 201);
        const bundle = expectOutcome(await context.api.bundleAs(bob, alice.address), 200);
        assert.equal(bundle.oneTimeStatus, 'issued');
    });

    test('a bundle request whose signature does not verify is refused and consumes nothing', async () => {
        const [alice, bob] = [new Device(), new Device()];
        expectOutcome(await context.api.register(alice, { oneTime: 1 }), 201);
        expectOutcome(await context.api.register(bob), 201);
        const path = `/v1/keys/bundle/${alice.address}`;
        const stranger = new Device();
        expectError(
            await context.api.signed(bob, 'GET', path, { sign: { signer: stranger.identity } }),
            401,
            'SHADE_BAD_REQUEST_SIGNATURE',
        );
        expectError(
            await context.api.signed(bob, 'GET', path, {
                sign: { timestamp: Date.now() - 3_600_000 },
            }),
            401,
            'SHADE_TIMESTAMP_SKEW',
        );
        const count = expectOutcome(await context.api.count(alice), 200);
        assert.equal(count.oneTimePreKeyCount, 1);
    });

    test('a caller that is not registered itself is refused, not told the target is unknown', async () => {
        const alice = new Device();
        expectOutcome(await context.api.register(alice, { oneTime: 1 }), 201);
        const response = await context.api.bundleAs(new Device(), alice.address);
        assert.equal(response.status, 401, response.text);
        const count = expectOutcome(await context.api.count(alice), 200);
        assert.equal(count.oneTimePreKeyCount, 1);
    });
});

// Every route that hands prekeys out or tests them, as [method, path, json].
const guarded = (address) => [
    ['GET', `/v1/keys/bundle/${address}`],
    ['HEAD', `/v1/keys/bundle/${address}`],
    ['GET', `/v1/keys/identity/${address}`],
    ['POST', '/v1/keys/claim', { claims: [{ address, claimId: b64(crypto.randomBytes(16)) }] }],
    ['POST', '/v1/keys/check', { address, digest: b64(Buffer.alloc(32)) }],
];
const kServed = { check: 409 };
const servedStatus = (path) => kServed[path.split('/').at(-1)] ?? 200;

onEachStore(
    'bundle access for identified callers only',
    (context) => {
        test('strangers are refused on every route, registered callers are served', async () => {
            const [alice, bob, unknown] = [new Device(), new Device(), new Device()];
            expectOutcome(await context.api.register(alice, { oneTime: 4 }), 201);
            expectOutcome(await context.api.register(bob), 201);
            for (const [method, path, json] of guarded(alice.address)) {
                const name = `${method} ${path}`;
                const stranger = await context.api.request(method, path, { json });
                assert.equal(stranger.status, 401, name);
                const pretender = await context.api.signed(unknown, method, path, { json });
                assert.equal(pretender.status, 401, name);
            }
            assert.equal(
                expectOutcome(await context.api.count(alice), 200).oneTimePreKeyCount,
                4,
            );
            for (const [method, path, json] of guarded(alice.address)) {
                const response = await context.api.signed(bob, method, path, { json });
                assert.equal(response.status, servedStatus(path), `${method} ${path}`);
            }
            assert.equal(
                expectOutcome(await context.api.count(alice), 200).oneTimePreKeyCount,
                2,
            );
        });

        test('the transparency log stays open to all', async () => {
            const alice = new Device();
            expectOutcome(await context.api.register(alice), 201);
            for (const path of [`/v1/kt/proof/${alice.address}`, '/v1/kt/checkpoint']) {
                assert.equal((await context.api.request('GET', path)).status, 200, path);
            }
        });
    },
    {
        stores: ['sqlite'],
        env: {
            SHADE_DISABLE_RATE_LIMIT: '1',
            SHADE_RESERVE_PERCENT: '0',
            SHADE_BUNDLE_ACCESS: 'identified',
        },
    },
);

onEachStore(
    'bundle access by token',
    (context) => {
        test('only holders of the token are served, on every route', async () => {
            const alice = new Device();
            expectOutcome(await context.api.register(alice, { oneTime: 4 }), 201);
            const outcome = async (route, headers) => {
                const [method, path, json] = route;
                return (await context.api.request(method, path, { json, headers })).status;
            };
            for (const route of guarded(alice.address)) {
                for (const token of [undefined, 'wrong-wrong-wrong-wrong']) {
                    const headers = token ? { Authorization: `Bearer ${token}` } : {};
                    assert.equal(await outcome(route, headers), 403, `${route} ${token}`);
                }
            }
            const headers = { Authorization: 'Bearer a-bundle-token-of-32-characters' };
            for (const route of guarded(alice.address)) {
                assert.equal(await outcome(route, headers), servedStatus(route[1]), `${route}`);
            }
            const count = expectOutcome(await context.api.count(alice), 200);
            assert.equal(count.oneTimePreKeyCount, 2);
        });
    },
    {
        stores: ['sqlite'],
        env: {
            SHADE_DISABLE_RATE_LIMIT: '1',
            SHADE_RESERVE_PERCENT: '0',
            SHADE_BUNDLE_ACCESS: 'token',
            SHADE_BUNDLE_TOKEN: 'a-bundle-token-of-32-characters',
        },
    },
);
