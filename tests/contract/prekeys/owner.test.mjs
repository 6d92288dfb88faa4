// What owners do with their stock: replenish, rotate the signed prekey, count, delete.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Device, hasKem, kSuites } from '../../support/client.mjs';
import { expectError, expectField, expectOutcome, sorted } from '../../support/expect.mjs';
import { onEachStore } from '../../support/stores.mjs';

const kEmptyLists = { accepted: [], duplicate: [], consumed: [], conflict: [] };

async function registered(api, options = {}, stock = { oneTime: 2, kemOneTime: 2 }) {
    const device = new Device(options);
    expectOutcome(await api.register(device, stock), 201);
    return device;
}

onEachStore('replenish', (context) => {
    for (const suite of kSuites) {
        for (const scheme of ['A', 'B']) {
            test(`adds keys, ${suite}, scheme ${scheme}`, async () => {
                const device = await registered(context.api, { suite });
                const members = { oneTimePreKeys: device.newOneTimePreKeys(3, 700) };
                if (hasKem(suite)) {
                    members.kemOneTimePreKeys = device.newKemPreKeys(1, 7000);
                    members.kemLastResortPreKey = device.newKemLastResort();
                }
                const body = expectOutcome(
                    await context.api.replenish(device, { scheme, ...members }),
                    200,
                );
                assert.equal(body.oneTimePreKeyCount, 5);
                assert.equal(body.kemOneTimePreKeyCount, hasKem(suite) ? 3 : 0);
                assert.deepEqual(body.results, { ...kEmptyLists, accepted: [700, 701, 702] });
                assert.deepEqual(
                    body.kemResults,
                    hasKem(suite) ? { ...kEmptyLists, accepted: [7000] } : kEmptyLists,
                );
                if (hasKem(suite)) {
                    expectOutcome(
                        await context.api.checkDigest(device.address, device.digest()),
                        200,
                    );
                }
            });
        }
    }

    test('one bad id never blocks the others', async () => {
        const device = await registered(context.api);
        const taken = expectOutcome(await context.api.bundle(device.address), 200);
        const issued = taken.oneTimePreKey;
        const stored = 100 + 101 - issued.keyId;
        const fresh = device.newOneTimePreKeys(2, 900);
        const oneTimePreKeys = [issued, { keyId: stored, publicKey: fresh[0].publicKey }, fresh[1]];
        const body = expectOutcome(await context.api.replenish(device, { oneTimePreKeys }), 200);
        assert.deepEqual(body.results, {
            accepted: [901],
            duplicate: [],
            consumed: [issued.keyId],
            conflict: [stored],
        });
        assert.equal(body.oneTimePreKeyCount, 2);
    });

    test('an issued id stays consumed after a restart', async () => {
        const device = await registered(context.api);
        const taken = expectOutcome(await context.api.bundle(device.address), 200);
        await context.backend.restart();
        const body = expectOutcome(
            await context.api.replenish(device, { oneTimePreKeys: [taken.oneTimePreKey] }),
            200,
        );
        assert.deepEqual(body.results, { ...kEmptyLists, consumed: [taken.oneTimePreKey.keyId] });
    });

    test('an issued id stays consumed after deleting and registering again', async () => {
        const device = await registered(context.api);
        const taken = expectOutcome(await context.api.bundle(device.address), 200);
        expectOutcome(await context.api.delete(device), 204);
        const body = device.registration();
        body.oneTimePreKeys = [taken.oneTimePreKey];
        const again = expectOutcome(
            await context.api.write(device, 'POST', '/v1/keys/register', body),
            201,
        );
        assert.deepEqual(again.results, { ...kEmptyLists, consumed: [taken.oneTimePreKey.keyId] });
    });

    test('EC and KEM ids are counted apart', async () => {
        const device = await registered(context.api, { suite: 'pqxdh-ed25519' });
        const body = expectOutcome(
            await context.api.replenish(device, {
                oneTimePreKeys: device.newOneTimePreKeys(1, 42),
                kemOneTimePreKeys: device.newKemPreKeys(1, 42),
            }),
            200,
        );
        assert.deepEqual(body.results.accepted, [42]);
        assert.deepEqual(body.kemResults.accepted, [42]);
    });

    test('an empty replenishment changes nothing', async () => {
        const device = await registered(context.api);
        const { address } = device;
        const send = (body, scheme) =>
            context.api.write(device, 'POST', '/v1/keys/replenish', body, { scheme });
        for (const answer of [
            await send({ address, oneTimePreKeys: [] }, 'A'),
            await send({ address }, 'B'),
        ]) {
            const body = expectOutcome(answer, 200);
            assert.equal(body.oneTimePreKeyCount, 2);
            assert.deepEqual(body.results, kEmptyLists);
        }
        // By scheme A this is the body of a deletion.
        expectField(await send({ address }, 'A'), 'oneTimePreKeys');
    });

    test('a bad KEM signature refuses the request; nothing is stored', async () => {
        const device = await registered(context.api, { suite: 'pqxdh-ed25519' });
        const kemOneTimePreKeys = device.newKemPreKeys(2, 8000);
        kemOneTimePreKeys[1].signature = kemOneTimePreKeys[0].signature;
        const error = expectError(
            await context.api.replenish(device, {
                oneTimePreKeys: device.newOneTimePreKeys(1, 800),
                kemOneTimePreKeys,
            }),
            422,
            'SHADE_INVALID_SIGNATURE',
        );
        assert.deepEqual(error.details.keyIds, [8001]);
        const count = expectOutcome(await context.api.count(device), 200);
        assert.equal(count.oneTimePreKeyCount, 2);
        assert.equal(count.kemOneTimePreKeyCount, 2);
    });

    test('over the stored maximum nothing is stored', async () => {
        const device = await registered(context.api, {}, { oneTime: 100 });
        expectOutcome(
            await context.api.replenish(device, { oneTimePreKeys: device.newOneTimePreKeys(99) }),
            200,
        );
        expectError(
            await context.api.replenish(device, { oneTimePreKeys: device.newOneTimePreKeys(2) }),
            422,
            'SHADE_LIMIT_EXCEEDED',
        );
        const count = expectOutcome(await context.api.count(device), 200);
        assert.equal(count.oneTimePreKeyCount, 199);
        expectField(
            await context.api.replenish(device, { oneTimePreKeys: device.newOneTimePreKeys(101) }),
            'oneTimePreKeys',
        );
    });

    test('an unknown address', async () => {
        const stranger = new Device();
        for (const scheme of ['A', 'B']) {
            expectError(
                await context.api.replenish(stranger, { scheme, oneTimePreKeys: [] }),
                404,
                'SHADE_NOT_FOUND',
            );
        }
    });

    test('parallel replenishments keep every accepted key', async () => {
        const device = await registered(context.api, {}, { oneTime: 0 });
        const answers = await Promise.all(
            Array.from({ length: 10 }, (_, i) =>
                context.api.replenish(device, {
                    scheme: 'B',
                    oneTimePreKeys: device.newOneTimePreKeys(10, 1000 + 10 * i),
                }),
            ),
        );
        const accepted = answers.flatMap((answer) => expectOutcome(answer, 200).results.accepted);
        assert.deepEqual(
            sorted(accepted),
            Array.from({ length: 100 }, (_, i) => 1000 + i),
        );
        const count = expectOutcome(await context.api.count(device), 200);
        assert.equal(count.oneTimePreKeyCount, 100);
    });
});

onEachStore('signed prekey', (context) => {
    for (const suite of kSuites) {
        for (const scheme of ['A', 'B']) {
            test(`rotates, ${suite}, scheme ${scheme}`, async () => {
                const device = await registered(context.api, { suite });
                const members = { signedPreKey: device.newSignedPreKey() };
                if (hasKem(suite)) {
                    members.kemLastResortPreKey = device.newKemLastResort();
                }
                const body = expectOutcome(
                    await context.api.rotateSignedPreKey(device, { scheme, ...members }),
                    200,
                );
                assert.deepEqual(body, {
                    signedPreKeyId: 2,
                    kemLastResortPreKeyId: hasKem(suite) ? 901 : null,
                });
                expectOutcome(await context.api.checkDigest(device.address, device.digest()), 200);
                const bundle = expectOutcome(await context.api.bundle(device.address), 200);
                assert.deepEqual(bundle.signedPreKey, device.signedPreKey);
                assert.equal(bundle.oneTimeStatus, 'issued', 'the stock stays');
            });
        }
    }

    test('the same key again is no change', async () => {
        const device = await registered(context.api);
        const { signedPreKey } = device;
        const body = expectOutcome(
            await context.api.rotateSignedPreKey(device, { signedPreKey }),
            200,
        );
        assert.equal(body.signedPreKeyId, 1);
    });

    test('the same id with other bytes is refused', async () => {
        const device = await registered(context.api, { suite: 'pqxdh-ed25519' });
        const old = device.signedPreKey;
        const signedPreKey = device.newSignedPreKey(old.keyId);
        expectField(
            await context.api.rotateSignedPreKey(device, { signedPreKey }),
            'signedPreKey.keyId',
            422,
        );
        const identity = expectOutcome(await context.api.identityOf(device.address), 200);
        assert.deepEqual(identity.signedPreKey, old);
    });

    test('a wrong signature is refused, with its id', async () => {
        const device = await registered(context.api, { suite: 'pqxdh-ed25519' });
        const signedPreKey = { ...device.newSignedPreKey(7) };
        signedPreKey.createdAt -= 1;
        const error = expectError(
            await context.api.rotateSignedPreKey(device, { signedPreKey }),
            422,
            'SHADE_INVALID_SIGNATURE',
        );
        assert.deepEqual(error.details.keyIds, [7]);
    });

    test('an old one cannot be brought back by an older signature', async () => {
        const device = await registered(context.api);
        const early = Date.now() - 60_000;
        const signedPreKey = device.newSignedPreKey();
        expectError(
            await context.api.rotateSignedPreKey(device, { signedPreKey, signedAt: early }),
            409,
            'SHADE_STALE_WRITE',
        );
        expectOutcome(await context.api.rotateSignedPreKey(device, { signedPreKey }), 200);
    });

    test('the body must name a key, and an address that exists', async () => {
        const device = await registered(context.api);
        expectField(await context.api.rotateSignedPreKey(device, {}), 'signedPreKey');
        const stranger = new Device();
        expectError(
            await context.api.rotateSignedPreKey(stranger, {
                signedPreKey: stranger.newSignedPreKey(),
            }),
            404,
            'SHADE_NOT_FOUND',
        );
    });
});

onEachStore('count', (context) => {
    for (const suite of kSuites) {
        test(`counts, zeros included, ${suite}`, async () => {
            const device = new Device({ suite });
            const createdAt = Date.now() - 7_200_000;
            device.newSignedPreKey(77, createdAt);
            expectOutcome(await context.api.register(device), 201);
            const empty = expectOutcome(await context.api.count(device), 200);
            assert.ok(Math.abs(empty.signedPreKeyAgeMs - 7_200_000) < 60_000);
            assert.deepEqual(
                { ...empty, signedPreKeyAgeMs: 0 },
                {
                    oneTimePreKeyCount: 0,
                    kemOneTimePreKeyCount: 0,
                    lowThreshold: 20,
                    refillTo: 100,
                    signedPreKeyId: 77,
                    signedPreKeyAgeMs: 0,
                    lastResortUsed: false,
                    restoreEpoch: 0,
                },
            );
            expectOutcome(
                await context.api.replenish(device, {
                    oneTimePreKeys: device.newOneTimePreKeys(3),
                }),
                200,
            );
            const count = expectOutcome(await context.api.count(device), 200);
            assert.equal(count.oneTimePreKeyCount, 3);
        });
    }

    test('lastResortUsed turns true by a fetch and false when the used keys are replaced', async () => {
        const device = await registered(context.api, { suite: 'pqxdh-ed25519' }, {});
        const used = async () => expectOutcome(await context.api.count(device), 200).lastResortUsed;
        assert.equal(await used(), false);
        expectOutcome(await context.api.bundle(device.address), 200);
        assert.equal(await used(), true);
        expectOutcome(await context.api.register(device, { oneTime: 1, kemOneTime: 1 }), 200);
        assert.equal(await used(), true, 'one-time keys replace nothing');
        const rotate = (members) => context.api.rotateSignedPreKey(device, members);
        const signedPreKey = device.newSignedPreKey();
        expectOutcome(await rotate({ signedPreKey }), 200);
        assert.equal(await used(), true, 'the last resort is still the same');
        const kemLastResortPreKey = device.newKemLastResort();
        expectOutcome(await rotate({ signedPreKey, kemLastResortPreKey }), 200);
        assert.equal(await used(), false);
    });

    test('is for the owner only', async () => {
        const [device, other] = [await registered(context.api), await registered(context.api)];
        const path = `/v1/keys/count/${device.address}`;
        expectError(await context.api.request('GET', path), 401, 'SHADE_UNAUTHORIZED');
        expectError(await context.api.signed(other, 'GET', path), 403, 'SHADE_FORBIDDEN');
        expectError(
            await context.api.signed(device, 'GET', path, { sign: { signer: other.identity } }),
            401,
            'SHADE_BAD_REQUEST_SIGNATURE',
        );
        const stranger = new Device();
        expectError(await context.api.count(stranger), 404, 'SHADE_NOT_FOUND');
    });
});

onEachStore(
    'public count',
    (context) => {
        test('needs no signature when the operator says so', async () => {
            const device = new Device();
            expectOutcome(await context.api.register(device, { oneTime: 4 }), 201);
            const body = expectOutcome(
                await context.api.request('GET', `/v1/keys/count/${device.address}`),
                200,
            );
            assert.equal(body.oneTimePreKeyCount, 4);
            expectOutcome(await context.api.count(device), 200);
            expectError(
                await context.api.request('GET', '/v1/keys/count/nobody:1'),
                404,
                'SHADE_NOT_FOUND',
            );
        });
    },
    {
        stores: ['sqlite'],
        env: { SHADE_DISABLE_RATE_LIMIT: '1', SHADE_PUBLIC_COUNT: '1' },
    },
);

onEachStore('delete', (context) => {
    for (const suite of kSuites) {
        for (const scheme of ['A', 'B']) {
            test(`removes everything, ${suite}, scheme ${scheme}`, async () => {
                const device = await registered(context.api, { suite });
                const response = await context.api.delete(device, { scheme });
                expectOutcome(response, 204);
                expectError(await context.api.bundle(device.address), 404, 'SHADE_NOT_FOUND');
                expectError(await context.api.identityOf(device.address), 404, 'SHADE_NOT_FOUND');
                expectError(await context.api.count(device), 404, 'SHADE_NOT_FOUND');
                expectError(await context.api.delete(device, { scheme }), 404, 'SHADE_NOT_FOUND');
            });
        }
    }

    test('needs a signature by the owner', async () => {
        const [device, other] = [await registered(context.api), await registered(context.api)];
        const path = `/v1/keys/${device.address}`;
        expectError(await context.api.request('DELETE', path), 401, 'SHADE_UNAUTHORIZED');
        expectError(
            await context.api.request('DELETE', path, { json: { address: device.address } }),
            401,
            'SHADE_UNAUTHORIZED',
        );
        expectError(await context.api.signed(other, 'DELETE', path), 403, 'SHADE_FORBIDDEN');
        expectError(
            await context.api.request('DELETE', path, {
                json: other.seal({ address: device.address }),
            }),
            401,
            'SHADE_BAD_REQUEST_SIGNATURE',
        );
        expectOutcome(await context.api.identityOf(device.address), 200);
    });

    test('by scheme A the body must name the address of the path', async () => {
        const [device, other] = [await registered(context.api), await registered(context.api)];
        const json = device.seal({ address: device.address });
        const response = await context.api.request('DELETE', `/v1/keys/${other.address}`, { json });
        assert.ok([400, 401, 403].includes(response.status), response.text);
        expectOutcome(await context.api.identityOf(device.address), 200);
        expectOutcome(await context.api.identityOf(other.address), 200);
    });

    test('a deleted address returns at once to its owner, and to nobody else', async () => {
        const device = await registered(context.api);
        expectOutcome(await context.api.delete(device), 204);
        const stranger = new Device({ address: device.address });
        expectError(await context.api.register(stranger), 410, 'SHADE_TOMBSTONED');
        expectOutcome(await context.api.register(device, { oneTime: 1 }), 201);
        const bundle = expectOutcome(await context.api.bundle(device.address), 200);
        assert.equal(bundle.oneTimeStatus, 'issued');
    });

    test('a deleted address stays closed after a restart', async () => {
        const device = await registered(context.api);
        expectOutcome(await context.api.delete(device), 204);
        await context.backend.restart();
        const stranger = new Device({ address: device.address });
        expectError(await context.api.register(stranger), 410, 'SHADE_TOMBSTONED');
    });

    test('a delete cannot be replayed against the address that came back', async () => {
        const device = await registered(context.api);
        const json = device.seal({ address: device.address });
        const path = `/v1/keys/${device.address}`;
        expectOutcome(await context.api.request('DELETE', path, { json }), 204);
        expectOutcome(await context.api.register(device), 201);
        expectError(await context.api.request('DELETE', path, { json }), 409, 'SHADE_REPLAY');
        expectOutcome(await context.api.identityOf(device.address), 200);
    });

    test('a registration from before the delete cannot be replayed after it', async () => {
        const device = new Device();
        const json = device.seal(device.registration({ oneTime: 1 }));
        const register = () => context.api.request('POST', '/v1/keys/register', { json });
        expectOutcome(await register(), 201);
        expectOutcome(await context.api.delete(device), 204);
        expectError(await register(), 409, 'SHADE_REPLAY');
        expectError(await context.api.bundle(device.address), 404, 'SHADE_NOT_FOUND');
    });

    test('deleting is idempotent when raced: one 204, the rest 404', async () => {
        for (let round = 0; round < 8; round += 1) {
            const device = await registered(context.api);
            const answers = await Promise.all(
                Array.from({ length: 6 }, () => context.api.delete(device)),
            );
            const outcomes = answers.map(({ outcome }) => outcome);
            const done = outcomes.filter((outcome) => outcome === '204');
            assert.equal(done.length, 1, String(outcomes));
            assert.ok(
                outcomes.every((outcome) => ['204', '404 SHADE_NOT_FOUND'].includes(outcome)),
                String(outcomes),
            );
        }
    });
});

onEachStore(
    'without quarantine',
    (context) => {
        test('another identity may follow at once, with key ids of its own', async () => {
            const first = new Device();
            expectOutcome(await context.api.register(first, { oneTime: 2 }), 201);
            const taken = expectOutcome(await context.api.bundle(first.address), 200);
            expectOutcome(await context.api.delete(first), 204);
            const second = new Device({ address: first.address });
            // Ids belong to an identity: those of the one before mean nothing here.
            const body = expectOutcome(await context.api.register(second, { oneTime: 2 }), 201);
            assert.deepEqual(body.results, { ...kEmptyLists, accepted: [100, 101] });
            const bundle = expectOutcome(await context.api.bundle(second.address), 200);
            assert.notEqual(bundle.oneTimePreKey.publicKey, taken.oneTimePreKey.publicKey);
        });
    },
    {
        env: {
            SHADE_DISABLE_RATE_LIMIT: '1',
            SHADE_RESERVE_PERCENT: '0',
            SHADE_TOMBSTONE_DAYS: '0',
        },
    },
);
