// Writes of one owner that cross each other, and writes that cross fetches. A race is not lost every
// time, so each is run for a number of rounds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { b64, Device } from '../../support/client.mjs';
import { expectDistinct, expectOutcome } from '../../support/expect.mjs';
import { onEachStore } from '../../support/stores.mjs';

const kRounds = 10;

onEachStore('races', (context) => {
    const registered = async (options = {}, stock = { oneTime: 2 }) => {
        const device = new Device(options);
        expectOutcome(await context.api.register(device, stock), 201);
        return device;
    };
    const among = (answers, allowed) =>
        answers.forEach((answer) =>
            assert.ok(allowed.includes(answer.outcome), `${answer.outcome}: ${answer.text}`),
        );
    const drain = async (address) => {
        const keys = [];
        for (;;) {
            const bundle = expectOutcome(await context.api.bundle(address), 200);
            if (!bundle.oneTimePreKey) {
                return keys;
            }
            keys.push(bundle.oneTimePreKey.publicKey);
        }
    };

    test('replenishing while the identity changes leaves no key of the old identity', async () => {
        for (let round = 0; round < kRounds; round += 1) {
            const old = await registered();
            const rotation = old.rotation({ oneTime: 2 });
            const uploads = Array.from({ length: 6 }, (_, i) =>
                old.newOneTimePreKeys(3, 1000 + 10 * i),
            );
            const [rotated, ...answers] = await Promise.all([
                context.api.write(old, 'POST', '/v1/keys/rotate-identity', rotation.body, {
                    signedAt: rotation.signedAt,
                }),
                ...uploads.map((oneTimePreKeys) =>
                    context.api.replenish(old, { scheme: 'B', oneTimePreKeys }),
                ),
            ]);
            expectOutcome(rotated, 200);
            among(answers, ['200', '401 SHADE_BAD_REQUEST_SIGNATURE']);
            const theirs = new Set(rotation.body.oneTimePreKeys.map(({ publicKey }) => publicKey));
            for (const key of await drain(old.address)) {
                assert.ok(theirs.has(key), 'a key of the old identity is in the new stock');
            }
        }
    });

    test('two rotations of one identity: one wins, its keys are served', async () => {
        for (let round = 0; round < kRounds; round += 1) {
            const old = await registered({ suite: 'pqxdh-ed25519' });
            const rotations = Array.from({ length: 3 }, () => old.rotation({ oneTime: 1 }));
            const answers = await Promise.all(
                rotations.map(({ body, signedAt }) =>
                    context.api.write(old, 'POST', '/v1/keys/rotate-identity', body, { signedAt }),
                ),
            );
            among(answers, ['200', '401 SHADE_BAD_REQUEST_SIGNATURE', '409 SHADE_STALE_WRITE']);
            const winners = rotations.filter((_, i) => answers[i].status === 200);
            assert.equal(winners.length, 1, answers.map(({ outcome }) => outcome).join(', '));
            const [{ next }] = winners;
            expectOutcome(await context.api.checkDigest(old.address, next.digest()), 200);
            const bundle = expectOutcome(await context.api.bundle(old.address), 200);
            assert.equal(bundle.identitySigningKey, b64(next.identity.keyBytes));
        }
    });

    test('signed prekeys rotated at once: the one signed last is served', async () => {
        for (let round = 0; round < kRounds; round += 1) {
            const device = await registered();
            const keys = Array.from({ length: 6 }, (_, i) => device.newSignedPreKey(10 + i));
            const stamps = keys.map(() => device.now());
            const answers = await Promise.all(
                keys.map((signedPreKey, i) =>
                    context.api.rotateSignedPreKey(device, { signedPreKey, signedAt: stamps[i] }),
                ),
            );
            among(answers, ['200', '409 SHADE_STALE_WRITE']);
            const last = answers.findLastIndex(({ status }) => status === 200);
            assert.equal(last, keys.length - 1, 'the newest is never stale');
            const identity = expectOutcome(await context.api.identityOf(device.address), 200);
            assert.deepEqual(identity.signedPreKey, keys[last]);
        }
    });

    test('the stored maximum holds against uploads at once', async () => {
        for (let round = 0; round < 3; round += 1) {
            const device = await registered({}, { oneTime: 0 });
            const answers = await Promise.all(
                Array.from({ length: 6 }, (_, i) =>
                    context.api.replenish(device, {
                        scheme: 'B',
                        oneTimePreKeys: device.newOneTimePreKeys(60, 1000 + 100 * i),
                    }),
                ),
            );
            among(answers, ['200', '422 SHADE_LIMIT_EXCEEDED']);
            const stored = answers.filter(({ status }) => status === 200).length;
            assert.equal(stored, 3, 'three times sixty fit into two hundred');
            const count = expectOutcome(await context.api.count(device), 200);
            assert.equal(count.oneTimePreKeyCount, 180);
        }
    });

    test('the number of addresses of one key holds against registrations at once', async () => {
        const first = new Device();
        const clones = Array.from({ length: 24 }, (_, i) =>
            first.cloneTo(`clone-${process.pid}-${context.store}-${i}:1`),
        );
        const answers = await Promise.all(clones.map((clone) => context.api.register(clone)));
        among(answers, ['201', '422 SHADE_LIMIT_EXCEEDED']);
        const made = answers.filter(({ status }) => status === 201).length;
        assert.equal(made, 16);
    });

    test('uploading and deleting cross: nothing of a deleted identity is left', async () => {
        for (let round = 0; round < kRounds; round += 1) {
            const device = await registered();
            const [deleted, ...answers] = await Promise.all([
                context.api.delete(device),
                ...Array.from({ length: 4 }, (_, i) =>
                    context.api.replenish(device, {
                        scheme: 'B',
                        oneTimePreKeys: device.newOneTimePreKeys(2, 1000 + 10 * i),
                    }),
                ),
                context.api.register(device, { scheme: 'B', oneTime: 1 }),
            ]);
            expectOutcome(deleted, 204);
            const registeredAgain = answers.pop();
            among(answers, ['200', '404 SHADE_NOT_FOUND', '401 SHADE_BAD_REQUEST_SIGNATURE']);
            among([registeredAgain], ['200', '201', '409 SHADE_STALE_WRITE']);
            const identity = await context.api.identityOf(device.address);
            if (identity.status === 404) {
                const back = expectOutcome(await context.api.register(device, { oneTime: 1 }), 201);
                assert.equal(back.oneTimePreKeyCount, 1, 'keys of before the delete came back');
            }
        }
    });

    test('fetching while the owner uploads and replaces: never twice, never foreign', async () => {
        const device = await registered({}, { oneTime: 20 });
        const issued = [];
        let running = true;
        const fetchers = Array.from({ length: 6 }, async () => {
            while (running) {
                const bundle = expectOutcome(await context.api.bundle(device.address), 200);
                if (bundle.oneTimePreKey) {
                    issued.push(bundle.oneTimePreKey.publicKey);
                }
            }
        });
        for (let round = 0; round < 20; round += 1) {
            if (round % 5 === 4) {
                expectOutcome(
                    await context.api.register(device, { mode: 'replace', oneTime: 10 }),
                    200,
                );
            } else {
                expectOutcome(
                    await context.api.replenish(device, {
                        oneTimePreKeys: device.newOneTimePreKeys(5),
                    }),
                    200,
                );
            }
        }
        running = false;
        await Promise.all(fetchers);
        expectDistinct([...issued, ...(await drain(device.address))], 'one-time key');
    });

    test('fetching while the identity changes: a bundle is never of two identities', async () => {
        let device = await registered({}, { oneTime: 10 });
        const { address } = device;
        // Which one-time keys and signed prekeys belong to which identity.
        const owner = new Map();
        const own = (identity, keys) => keys.forEach((key) => owner.set(key, identity));
        const keyOf = ({ identity }) => b64(identity.keyBytes);
        own(keyOf(device), [device.signedPreKey.publicKey]);
        const seen = [];
        let running = true;
        const fetchers = Array.from({ length: 6 }, async () => {
            while (running) {
                seen.push(expectOutcome(await context.api.bundle(address), 200));
            }
        });
        for (let round = 0; round < 15; round += 1) {
            const rotation = device.rotation({ oneTime: 20 });
            own(keyOf(rotation.next), [
                rotation.next.signedPreKey.publicKey,
                ...rotation.body.oneTimePreKeys.map(({ publicKey }) => publicKey),
            ]);
            expectOutcome(
                await context.api.write(device, 'POST', '/v1/keys/rotate-identity', rotation.body, {
                    signedAt: rotation.signedAt,
                }),
                200,
            );
            device = rotation.next;
        }
        running = false;
        await Promise.all(fetchers);
        for (const bundle of seen) {
            assert.equal(owner.get(bundle.signedPreKey.publicKey), bundle.identitySigningKey);
            const key = bundle.oneTimePreKey?.publicKey;
            if (key && owner.has(key)) {
                assert.equal(
                    owner.get(key),
                    bundle.identitySigningKey,
                    'a key of another identity',
                );
            }
        }
    });
});

onEachStore(
    'races for the last keys',
    (context) => {
        test('the reserve holds, and the owner hears of low stock once, however many come at once', async () => {
            const kPath = '/v1/keys/events';
            const friend = new Device();
            expectOutcome(await context.api.register(friend), 201);
            for (let round = 0; round < kRounds; round += 1) {
                const device = new Device();
                expectOutcome(await context.api.register(device, { oneTime: 20 }), 201);
                const events = await context.api.stream(kPath, {
                    headers: device.requestHeaders('GET', context.api.prefix + kPath),
                });
                for (let i = 0; i < 14; i += 1) {
                    expectOutcome(await context.api.bundle(device.address), 200);
                }
                const crowd = await Promise.all(
                    Array.from({ length: 16 }, () => context.api.bundle(device.address)),
                );
                const statuses = crowd.map((answer) => expectOutcome(answer, 200).oneTimeStatus);
                assert.equal(statuses.filter((status) => status === 'issued').length, 2);
                assert.equal(statuses.filter((status) => status === 'withheld').length, 14);
                const reserved = await Promise.all(
                    Array.from({ length: 4 }, () => context.api.bundleAs(friend, device.address)),
                );
                reserved.forEach((answer) =>
                    assert.equal(expectOutcome(answer, 200).oneTimeStatus, 'issued'),
                );
                await events.next(({ event }) => event === 'prekeys.exhausted');
                const heard = events.events.map(({ event }) => event);
                assert.deepEqual(heard, ['prekeys.low', 'prekeys.exhausted']);
                events.close();
            }
        });
    },
    { env: { SHADE_DISABLE_RATE_LIMIT: '1', SHADE_RESERVE_PERCENT: '20' } },
);
