// POST /v1/keys/rotate-identity: an address moves to new keys with the consent of old and new.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import { b64, Device, hasKem, isXeddsa, kSuites } from '../../support/client.mjs';
import { expectError, expectField, expectOutcome } from '../../support/expect.mjs';
import { onEachStore } from '../../support/stores.mjs';

const kPath = '/v1/keys/rotate-identity';

onEachStore('rotate identity', (context) => {
    const registered = async (options = {}, stock = { oneTime: 3, kemOneTime: 1 }) => {
        const device = new Device(options);
        expectOutcome(await context.api.register(device, stock), 201);
        return device;
    };
    const send = (device, rotation, scheme = 'A') =>
        context.api.write(device, 'POST', kPath, rotation.body, {
            scheme,
            signedAt: rotation.signedAt,
        });

    for (const suite of kSuites) {
        for (const scheme of ['A', 'B']) {
            test(`${suite}, scheme ${scheme}: new keys in, old stock out`, async () => {
                const old = await registered({ suite });
                const rotation = old.rotation({ oneTime: 2, kemOneTime: 2 });
                if (!hasKem(suite)) {
                    delete rotation.body.kemOneTimePreKeys;
                }
                const body = expectOutcome(await send(old, rotation, scheme), 200);
                assert.equal(body.oneTimePreKeyCount, 2);
                assert.equal(body.kemOneTimePreKeyCount, hasKem(suite) ? 2 : 0);
                const { next } = rotation;
                const bundle = expectOutcome(await context.api.bundle(old.address), 200);
                assert.equal(
                    isXeddsa(suite) ? bundle.identityKey : bundle.identitySigningKey,
                    b64(next.identity.keyBytes),
                );
                assert.deepEqual(bundle.signedPreKey, next.signedPreKey);
                assert.equal(bundle.registrationId, old.registrationId, 'the stored one stays');
                const ids = rotation.body.oneTimePreKeys.map(({ keyId }) => keyId);
                assert.ok(ids.includes(bundle.oneTimePreKey.keyId));
                // The old key has no say any more, the new one has.
                expectError(await context.api.count(old), 401, 'SHADE_BAD_REQUEST_SIGNATURE');
                expectOutcome(await context.api.count(next), 200);
                expectError(await context.api.register(old), 409, 'SHADE_IDENTITY_CONFLICT');
                expectOutcome(await context.api.register(next), 200);
            });
        }

        test(`${suite}: without the proof of the new key nothing happens`, async () => {
            const old = await registered({ suite });
            for (const breakProof of [
                (body) => {
                    body.proof = b64(crypto.randomBytes(64));
                },
                // Signed by the old key instead of the new.
                (body) => {
                    body.proof = b64(old.identity.sign(Buffer.from('anything')));
                },
            ]) {
                const rotation = old.rotation();
                breakProof(rotation.body);
                expectError(await send(old, rotation), 422, 'SHADE_INVALID_SIGNATURE');
            }
            const later = old.rotation();
            later.signedAt = old.now();
            expectError(
                await send(old, later),
                422,
                'SHADE_INVALID_SIGNATURE',
                'the proof covers the time of signing',
            );
            const count = expectOutcome(await context.api.count(old), 200);
            assert.equal(count.oneTimePreKeyCount, 3);
        });
    }

    test('the old key must sign', async () => {
        const old = await registered();
        const rotation = old.rotation();
        expectError(
            await context.api.write(rotation.next, 'POST', kPath, rotation.body, {
                signedAt: rotation.signedAt,
            }),
            401,
            'SHADE_BAD_REQUEST_SIGNATURE',
        );
        expectError(
            await context.api.request('POST', kPath, { json: rotation.body }),
            401,
            'SHADE_UNAUTHORIZED',
        );
    });

    test('a proof for another address does not count', async () => {
        const [a, b] = [await registered(), await registered()];
        const rotationOfB = b.rotation();
        const body = { ...rotationOfB.body, address: a.address };
        body.newIdentity = rotationOfB.next.identity.fields(a.address);
        const response = await context.api.write(a, 'POST', kPath, body, {
            signedAt: rotationOfB.signedAt,
        });
        expectError(response, 422, 'SHADE_INVALID_SIGNATURE');
    });

    test('rotating to the same key is refused', async () => {
        const old = await registered();
        const { body, signedAt } = old.rotation({ next: old });
        const response = await context.api.write(old, 'POST', kPath, body, { signedAt });
        assert.ok([400, 422].includes(response.status), response.text);
    });

    test('prekeys must be signed by the new key', async () => {
        const old = await registered();
        const rotation = old.rotation();
        const spk = old.newSignedPreKey(rotation.body.signedPreKey.keyId);
        const error = expectError(
            await send(old, { ...rotation, body: { ...rotation.body, signedPreKey: spk } }),
            422,
            'SHADE_INVALID_SIGNATURE',
        );
        assert.deepEqual(error.details.keyIds, [spk.keyId]);
    });

    test('KEM suites need a new last-resort key', async () => {
        const old = await registered({ suite: 'pqxdh-ed25519' });
        const rotation = old.rotation();
        delete rotation.body.kemLastResortPreKey;
        expectField(await send(old, rotation), 'kemLastResortPreKey');
    });

    test('the registration id can change', async () => {
        const old = await registered({ suite: 'pqxdh-xeddsa' });
        const registrationId = (old.registrationId % 16380) + 1;
        expectOutcome(await send(old, old.rotation({ members: { registrationId } })), 200);
        const bundle = expectOutcome(await context.api.bundle(old.address), 200);
        assert.equal(bundle.registrationId, registrationId);
    });

    test('the new identity may use key ids of the old one', async () => {
        const old = await registered({}, { oneTime: 2 });
        expectOutcome(await context.api.bundle(old.address), 200);
        const rotation = old.rotation();
        rotation.body.oneTimePreKeys = rotation.next.newOneTimePreKeys(2, 100);
        const body = expectOutcome(await send(old, rotation), 200);
        assert.deepEqual(body.results.accepted, [100, 101]);
    });

    test('it cannot be replayed or rolled back', async () => {
        const old = await registered();
        const rotation = old.rotation();
        const json = old.seal(rotation.body, { signedAt: rotation.signedAt });
        const post = () => context.api.request('POST', kPath, { json });
        expectOutcome(await post(), 200);
        const again = await post();
        assert.ok(
            ['401 SHADE_BAD_REQUEST_SIGNATURE', '409 SHADE_REPLAY'].includes(again.outcome),
            again.text,
        );
        const late = rotation.next.rotation({ signedAt: rotation.signedAt - 1000 });
        expectError(await send(rotation.next, late), 409, 'SHADE_STALE_WRITE');
    });

    test('an address nobody registered', async () => {
        const nobody = new Device();
        nobody.newSignedPreKey();
        expectError(await send(nobody, nobody.rotation()), 404, 'SHADE_NOT_FOUND');
    });

    test('the identity is the old one until the answer, the new one after, and survives a restart', async () => {
        const old = await registered();
        const rotation = old.rotation();
        expectOutcome(await send(old, rotation), 200);
        await context.backend.restart();
        const identity = expectOutcome(await context.api.identityOf(old.address), 200);
        assert.equal(identity.identitySigningKey, b64(rotation.next.identity.keyBytes));
    });
});
