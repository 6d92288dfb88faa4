// POST /v1/keys/register: new addresses, updates, trust on first use, and everything that is checked
// before keys are stored.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    b64,
    Device,
    freshAddress,
    hasKem,
    isXeddsa,
    kSuites,
    sha256,
    unb64,
} from '../../support/client.mjs';
import { expectError, expectField, expectOutcome, sorted } from '../../support/expect.mjs';
import { onEachStore } from '../../support/stores.mjs';

const kEmptyLists = { accepted: [], duplicate: [], consumed: [], conflict: [] };

onEachStore('register', (context) => {
    for (const suite of kSuites) {
        for (const scheme of ['A', 'B']) {
            test(`a new address, ${suite}, scheme ${scheme}`, async () => {
                const device = new Device({ suite });
                const response = await context.api.register(device, {
                    scheme,
                    oneTime: 3,
                    kemOneTime: 2,
                });
                const body = expectOutcome(response, 201);
                assert.equal(body.address, device.address);
                assert.equal(
                    body.identityFingerprint,
                    sha256(device.identity.keyBytes, device.identity.dhBytes)
                        .subarray(0, 16)
                        .toString('hex'),
                );
                assert.equal(body.oneTimePreKeyCount, 3);
                assert.equal(body.kemOneTimePreKeyCount, hasKem(suite) ? 2 : 0);
                assert.equal(body.lowThreshold, 20);
                assert.equal(body.refillTo, 100);
                assert.equal(body.restoreEpoch, 0);
                assert.deepEqual(body.results, { ...kEmptyLists, accepted: [100, 101, 102] });
                assert.deepEqual(body.kemResults, {
                    ...kEmptyLists,
                    accepted: hasKem(suite) ? [5000, 5001] : [],
                });
            });
        }

        test(`the same identity again updates, ${suite}`, async () => {
            const device = new Device({ suite });
            expectOutcome(await context.api.register(device, { oneTime: 2, kemOneTime: 1 }), 201);
            device.newSignedPreKey();
            if (hasKem(suite)) {
                device.newKemLastResort();
            }
            const body = expectOutcome(
                await context.api.register(device, { oneTime: 3, kemOneTime: 1 }),
                200,
            );
            assert.equal(body.oneTimePreKeyCount, 5);
            assert.equal(body.kemOneTimePreKeyCount, hasKem(suite) ? 2 : 0);
            const bundle = expectOutcome(await context.api.bundle(device.address), 200);
            assert.deepEqual(bundle.signedPreKey, device.signedPreKey);
            assert.equal(bundle.registrationId, device.registrationId);
        });

        test(`every bad prekey signature is refused and nothing is stored, ${suite}`, async () => {
            const device = new Device({ suite });
            const body = device.registration({ oneTime: 1, kemOneTime: 3 });
            const flip = (key) => {
                const bytes = unb64(key.signature);
                bytes[5] ^= 1;
                key.signature = b64(bytes);
                return key.keyId;
            };
            const expected = [];
            body.signedPreKey = { ...body.signedPreKey };
            expected.push(flip(body.signedPreKey));
            if (hasKem(suite)) {
                body.kemLastResortPreKey = { ...body.kemLastResortPreKey };
                expected.push(flip(body.kemLastResortPreKey));
                expected.push(flip(body.kemOneTimePreKeys[1]));
            }
            const error = expectError(
                await context.api.write(device, 'POST', '/v1/keys/register', body),
                422,
                'SHADE_INVALID_SIGNATURE',
            );
            assert.deepEqual(sorted(error.details.keyIds), sorted(expected));
            expectError(await context.api.bundle(device.address), 404, 'SHADE_NOT_FOUND');
        });

        test(`signatures by another identity are refused, ${suite}`, async () => {
            const device = new Device({ suite });
            const stranger = new Device({ suite, address: device.address });
            const body = device.registration();
            body.signedPreKey = stranger.newSignedPreKey(1);
            const error = expectError(
                await context.api.write(device, 'POST', '/v1/keys/register', body),
                422,
                'SHADE_INVALID_SIGNATURE',
            );
            assert.deepEqual(error.details.keyIds, [1]);
        });
    }

    test('suite defaults to x3dh-ed25519', async () => {
        const device = new Device();
        const { suite, ...body } = device.registration();
        assert.equal(suite, 'x3dh-ed25519');
        expectOutcome(await context.api.write(device, 'POST', '/v1/keys/register', body), 201);
        const bundle = expectOutcome(await context.api.bundle(device.address), 200);
        assert.equal(bundle.suite, 'x3dh-ed25519');
    });

    test('unknown members are ignored, and covered by the signature', async () => {
        const device = new Device();
        const body = { ...device.registration(), futureMember: { deep: [1, 'zwölf', null, true] } };
        const sealed = device.seal(body);
        sealed.futureMember.deep[0] = 2;
        expectError(
            await context.api.request('POST', '/v1/keys/register', { json: sealed }),
            401,
            'SHADE_BAD_REQUEST_SIGNATURE',
        );
        expectOutcome(await context.api.write(device, 'POST', '/v1/keys/register', body), 201);
    });

    test('members in any order and any white space have one canonical form', async () => {
        const device = new Device();
        const sealed = device.seal(device.registration({ oneTime: 1 }));
        const reversed = Object.fromEntries(Object.entries(sealed).reverse());
        const text = `\n\t ${JSON.stringify(reversed, null, 7)} \r\n`;
        expectOutcome(
            await context.api.request('POST', '/v1/keys/register', {
                body: text,
                contentType: 'application/json',
            }),
            201,
        );
    });

    test('base64url and unpadded keys are accepted and come back in the standard form', async () => {
        const device = new Device({ suite: 'pqxdh-ed25519' });
        const body = device.registration({ oneTime: 1 });
        const loose = (text) => unb64(text).toString('base64url');
        const sent = {
            ...body,
            identitySigningKey: loose(body.identitySigningKey),
            identityDhKey: loose(body.identityDhKey),
            kemLastResortPreKey: {
                ...body.kemLastResortPreKey,
                publicKey: loose(body.kemLastResortPreKey.publicKey),
            },
        };
        expectOutcome(await context.api.write(device, 'POST', '/v1/keys/register', sent), 201);
        const bundle = expectOutcome(await context.api.bundle(device.address), 200);
        assert.equal(bundle.identitySigningKey, body.identitySigningKey);
        assert.equal(bundle.kemPreKey.publicKey, body.kemLastResortPreKey.publicKey);
    });

    test('one spelling of a key in two alphabets is one key', async () => {
        const device = new Device();
        expectOutcome(await context.api.register(device, { oneTime: 1 }), 201);
        const [key] = device.newOneTimePreKeys(1, 500);
        expectOutcome(await context.api.replenish(device, { oneTimePreKeys: [key] }), 200);
        const again = { ...key, publicKey: unb64(key.publicKey).toString('base64url') };
        const body = expectOutcome(
            await context.api.replenish(device, { oneTimePreKeys: [again] }),
            200,
        );
        assert.deepEqual(body.results, { ...kEmptyLists, duplicate: [500] });
    });

    test('the address is normalised (NFKC) before it is stored', async () => {
        const plain = freshAddress('wide');
        // Full-width letters normalise to ASCII.
        const wide = plain.replace('wide', 'ｗｉｄｅ');
        const device = new Device({ address: plain });
        const body = { ...device.registration({ bindDh: false }), address: wide };
        const outcome = expectOutcome(
            await context.api.write(device, 'POST', '/v1/keys/register', body),
            201,
        );
        assert.equal(outcome.address, plain);
        expectOutcome(await context.api.bundle(plain), 200);
        expectOutcome(await context.api.bundle(wide), 200);
    });

    test('per-key results: duplicate, conflict and consumed beside accepted', async () => {
        const device = new Device({ suite: 'pqxdh-ed25519' });
        const first = device.registration({ oneTime: 3, kemOneTime: 3 });
        expectOutcome(await context.api.write(device, 'POST', '/v1/keys/register', first), 201);
        const taken = expectOutcome(await context.api.bundle(device.address), 200);
        const consumed = first.oneTimePreKeys.find(
            ({ keyId }) => keyId === taken.oneTimePreKey.keyId,
        );
        const kemConsumed = first.kemOneTimePreKeys.find(
            ({ keyId }) => keyId === taken.kemPreKey.keyId,
        );
        const [duplicate, other] = first.oneTimePreKeys.filter((key) => key !== consumed);
        const [kemDuplicate, kemOther] = first.kemOneTimePreKeys.filter(
            (key) => key !== kemConsumed,
        );
        const [fresh] = device.newOneTimePreKeys(1);
        const [kemFresh] = device.newKemPreKeys(1);
        const conflicting = { keyId: other.keyId, publicKey: fresh.publicKey };
        const body = {
            ...first,
            oneTimePreKeys: [consumed, duplicate, conflicting, fresh],
            kemOneTimePreKeys: [
                kemConsumed,
                kemDuplicate,
                device.newKemPreKey(kemOther.keyId),
                kemFresh,
            ],
        };
        const outcome = expectOutcome(
            await context.api.write(device, 'POST', '/v1/keys/register', body),
            200,
        );
        assert.deepEqual(outcome.results, {
            accepted: [fresh.keyId],
            duplicate: [duplicate.keyId],
            consumed: [consumed.keyId],
            conflict: [other.keyId],
        });
        assert.deepEqual(outcome.kemResults, {
            accepted: [kemFresh.keyId],
            duplicate: [kemDuplicate.keyId],
            consumed: [kemConsumed.keyId],
            conflict: [kemOther.keyId],
        });
        assert.equal(outcome.oneTimePreKeyCount, 3);
        assert.equal(outcome.kemOneTimePreKeyCount, 3);
    });

    test('mode replace drops the stored one-time keys, and still never reissues', async () => {
        const device = new Device({ suite: 'pqxdh-ed25519' });
        expectOutcome(await context.api.register(device, { oneTime: 5, kemOneTime: 2 }), 201);
        const taken = expectOutcome(await context.api.bundle(device.address), 200);
        const replacement = device.newOneTimePreKeys(2, 300);
        const body = {
            ...device.registration({ mode: 'replace' }),
            oneTimePreKeys: [
                ...replacement,
                ...device.newOneTimePreKeys(1, taken.oneTimePreKey.keyId),
            ],
        };
        const outcome = expectOutcome(
            await context.api.write(device, 'POST', '/v1/keys/register', body),
            200,
        );
        assert.equal(outcome.oneTimePreKeyCount, 2);
        assert.equal(outcome.kemOneTimePreKeyCount, 0);
        assert.deepEqual(outcome.results.consumed, [taken.oneTimePreKey.keyId]);
        const ids = [];
        for (let i = 0; i < 3; i += 1) {
            const bundle = expectOutcome(await context.api.bundle(device.address), 200);
            ids.push(bundle.oneTimePreKey?.keyId ?? null);
        }
        assert.deepEqual(sorted(ids.slice(0, 2)), [300, 301]);
        assert.equal(ids[2], null);
    });

    test('another identity never takes an address over', async () => {
        const owner = new Device();
        expectOutcome(await context.api.register(owner, { oneTime: 1 }), 201);
        const before = expectOutcome(await context.api.identityOf(owner.address), 200);
        for (const suite of kSuites) {
            const thief = new Device({ suite, address: owner.address });
            expectError(
                await context.api.register(thief, { oneTime: 1 }),
                409,
                'SHADE_IDENTITY_CONFLICT',
                suite,
            );
        }
        assert.deepEqual(expectOutcome(await context.api.identityOf(owner.address), 200), before);
    });

    test('the same signing key with another DH key is another identity', async () => {
        const owner = new Device();
        expectOutcome(await context.api.register(owner), 201);
        const swapped = owner.registration({ bindDh: false });
        swapped.identityDhKey = b64(new Device().identity.dhBytes);
        expectError(
            await context.api.write(owner, 'POST', '/v1/keys/register', swapped),
            409,
            'SHADE_IDENTITY_CONFLICT',
        );
    });

    test('the suite of an address cannot change', async () => {
        const owner = new Device({ suite: 'pqxdh-xeddsa' });
        expectOutcome(await context.api.register(owner), 201);
        const { kemLastResortPreKey, kemOneTimePreKeys, ...rest } = owner.registration();
        const downgraded = { ...rest, suite: 'x3dh-xeddsa' };
        expectError(
            await context.api.write(owner, 'POST', '/v1/keys/register', downgraded),
            409,
            'SHADE_IDENTITY_CONFLICT',
        );
    });

    test('a wrong binding of the DH key is refused', async () => {
        const device = new Device();
        const body = device.registration();
        // Right key, but bound to another address.
        body.identityDhKeySignature = device.identity.fields('other:1').identityDhKeySignature;
        const error = expectError(
            await context.api.write(device, 'POST', '/v1/keys/register', body),
            422,
            'SHADE_INVALID_SIGNATURE',
        );
        assert.deepEqual(error.details.keyIds, ['identityDhKey']);
    });

    test('the binding is optional and comes back in bundles when given', async () => {
        const without = new Device();
        expectOutcome(await context.api.register(without, { bindDh: false }), 201);
        const bare = expectOutcome(await context.api.bundle(without.address), 200);
        assert.equal(bare.identityDhKeySignature ?? null, null);
        const bound = new Device();
        expectOutcome(await context.api.register(bound), 201);
        const bundle = expectOutcome(await context.api.bundle(bound.address), 200);
        assert.equal(
            bundle.identityDhKeySignature,
            bound.identity.fields(bound.address).identityDhKeySignature,
        );
    });

    test('a signed prekey id with other bytes is refused', async () => {
        const device = new Device();
        expectOutcome(await context.api.register(device), 201);
        const old = device.signedPreKey;
        device.newSignedPreKey(old.keyId);
        expectField(await context.api.register(device), 'signedPreKey.keyId', 422);
        const bundle = expectOutcome(await context.api.bundle(device.address), 200);
        assert.deepEqual(bundle.signedPreKey, old);
    });

    test('a last-resort id with other bytes is refused', async () => {
        const device = new Device({ suite: 'pqxdh-ed25519' });
        expectOutcome(await context.api.register(device), 201);
        device.newKemLastResort(device.kemLastResortPreKey.keyId);
        expectField(await context.api.register(device), 'kemLastResortPreKey.keyId', 422);
    });

    test('pqxdh suites need a last-resort KEM key', async () => {
        for (const suite of ['pqxdh-ed25519', 'pqxdh-xeddsa']) {
            const device = new Device({ suite });
            const { kemLastResortPreKey, ...body } = device.registration();
            expectField(
                await context.api.write(device, 'POST', '/v1/keys/register', body),
                'kemLastResortPreKey',
            );
        }
    });

    test('x3dh suites take no KEM keys', async () => {
        for (const suite of ['x3dh-ed25519', 'x3dh-xeddsa']) {
            const pq = suite.replace('x3dh', 'pqxdh');
            const device = new Device({ suite: pq });
            const body = { ...device.registration(), suite };
            expectField(
                await context.api.write(device, 'POST', '/v1/keys/register', body),
                'kemLastResortPreKey',
            );
        }
    });

    test('ml-kem-768 keys work in pqxdh-ed25519 and not in pqxdh-xeddsa', async () => {
        const device = new Device({ suite: 'pqxdh-ed25519' });
        const last = device.newKemLastResort(900, 'ml-kem-768');
        expectOutcome(await context.api.register(device), 201);
        const bundle = expectOutcome(await context.api.bundle(device.address), 200);
        assert.deepEqual(bundle.kemPreKey, { ...last, lastResort: true });
        const other = new Device({ suite: 'pqxdh-xeddsa' });
        other.newKemLastResort();
        other.kemLastResortPreKey.alg = 'ml-kem-768';
        expectError(await context.api.register(other), 422, 'SHADE_BAD_KEM_KEY');
    });

    test('a KEM label is never converted into another', async () => {
        const device = new Device({ suite: 'pqxdh-ed25519' });
        device.newKemLastResort(900, 'kyber1024');
        expectOutcome(await context.api.register(device), 201);
        const bundle = expectOutcome(await context.api.bundle(device.address), 200);
        assert.equal(bundle.kemPreKey.alg, 'kyber1024');
        // The label is part of what is signed.
        const cheat = new Device({ suite: 'pqxdh-ed25519' });
        cheat.newKemLastResort(900, 'kyber1024');
        cheat.kemLastResortPreKey.alg = 'ml-kem-1024';
        expectError(await context.api.register(cheat), 422, 'SHADE_INVALID_SIGNATURE');
        // In pqxdh-xeddsa the type byte must agree with the label.
        const libsignal = new Device({ suite: 'pqxdh-xeddsa' });
        libsignal.newKemLastResort(900, 'kyber1024');
        libsignal.kemLastResortPreKey.alg = 'ml-kem-1024';
        expectError(await context.api.register(libsignal), 422, 'SHADE_BAD_KEM_KEY');
    });

    test('libsignal clients need not label their KEM keys', async () => {
        const device = new Device({ suite: 'pqxdh-xeddsa' });
        const body = device.registration();
        const { alg, ...unlabelled } = body.kemLastResortPreKey;
        body.kemLastResortPreKey = unlabelled;
        expectOutcome(await context.api.write(device, 'POST', '/v1/keys/register', body), 201);
        const bundle = expectOutcome(await context.api.bundle(device.address), 200);
        assert.equal(bundle.kemPreKey.alg, 'kyber1024');
    });

    test('a KEM key with a coefficient out of range is refused', async () => {
        for (const suite of ['pqxdh-ed25519', 'pqxdh-xeddsa']) {
            const device = new Device({ suite });
            device.newKemLastResort();
            const bytes = unb64(device.kemLastResortPreKey.publicKey);
            // Two 12-bit coefficients of 4095 in the middle of the polynomial vector.
            bytes.fill(0xff, 301, 304);
            device.kemLastResortPreKey.publicKey = b64(bytes);
            const error = expectError(await context.api.register(device), 422, 'SHADE_BAD_KEM_KEY');
            assert.deepEqual(error.details.keyIds, [device.kemLastResortPreKey.keyId]);
        }
    });

    test('at most 100 keys per list and request', async () => {
        const device = new Device();
        expectField(await context.api.register(device, { oneTime: 101 }), 'oneTimePreKeys');
        const other = new Device();
        const body = expectOutcome(await context.api.register(other, { oneTime: 100 }), 201);
        assert.equal(body.oneTimePreKeyCount, 100);
    });

    test('a hundred KEM keys fit into one request', async () => {
        const device = new Device({ suite: 'pqxdh-ed25519' });
        const body = expectOutcome(
            await context.api.register(device, { oneTime: 100, kemOneTime: 100 }),
            201,
        );
        assert.equal(body.kemOneTimePreKeyCount, 100);
    });

    test('the stored maximum is never passed, and then nothing is stored', async () => {
        const device = new Device({ suite: 'pqxdh-ed25519' });
        expectOutcome(await context.api.register(device, { oneTime: 100, kemOneTime: 90 }), 201);
        expectOutcome(await context.api.register(device, { oneTime: 90 }), 200);
        const before = device.signedPreKey;
        device.newSignedPreKey();
        expectError(
            await context.api.register(device, { oneTime: 11 }),
            422,
            'SHADE_LIMIT_EXCEEDED',
        );
        expectError(
            await context.api.register(device, { kemOneTime: 11 }),
            422,
            'SHADE_LIMIT_EXCEEDED',
        );
        const count = expectOutcome(await context.api.count(device), 200);
        assert.equal(count.oneTimePreKeyCount, 190);
        assert.equal(count.kemOneTimePreKeyCount, 90);
        assert.equal(count.signedPreKeyId, before.keyId);
        const body = expectOutcome(await context.api.register(device, { oneTime: 10 }), 200);
        assert.equal(body.oneTimePreKeyCount, 200);
    });

    test('one identity key has at most 16 addresses', async () => {
        const first = new Device();
        expectOutcome(await context.api.register(first), 201);
        for (let i = 1; i < 16; i += 1) {
            expectOutcome(await context.api.register(first.cloneTo(freshAddress())), 201);
        }
        expectError(
            await context.api.register(first.cloneTo(freshAddress())),
            422,
            'SHADE_LIMIT_EXCEEDED',
        );
        // Updating one of the sixteen still works.
        expectOutcome(await context.api.register(first), 200);
    });

    test('a repeated key id within one list is refused', async () => {
        const device = new Device();
        const body = device.registration({ oneTime: 2 });
        body.oneTimePreKeys[1].keyId = body.oneTimePreKeys[0].keyId;
        expectField(
            await context.api.write(device, 'POST', '/v1/keys/register', body),
            'oneTimePreKeys',
        );
    });

    test('key ids go up to 2^32 - 1', async () => {
        const device = new Device();
        device.newSignedPreKey(4294967295);
        const body = device.registration();
        body.oneTimePreKeys = device.newOneTimePreKeys(1, 4294967295);
        expectOutcome(await context.api.write(device, 'POST', '/v1/keys/register', body), 201);
        const bundle = expectOutcome(await context.api.bundle(device.address), 200);
        assert.equal(bundle.signedPreKey.keyId, 4294967295);
        assert.equal(bundle.oneTimePreKey.keyId, 4294967295);
    });

    test('createdAt may not lie in the future, and is part of the signature in pqxdh-ed25519', async () => {
        const future = new Device();
        future.newSignedPreKey(1, Date.now() + 3_600_000);
        expectField(await context.api.register(future), 'signedPreKey.createdAt');
        const device = new Device({ suite: 'pqxdh-ed25519' });
        device.newSignedPreKey(1, Date.now() - 86_400_000);
        device.signedPreKey.createdAt += 1;
        expectError(await context.api.register(device), 422, 'SHADE_INVALID_SIGNATURE');
        const missing = new Device({ suite: 'pqxdh-ed25519' });
        const body = missing.registration();
        const { createdAt, ...rest } = body.signedPreKey;
        expectField(
            await context.api.write(missing, 'POST', '/v1/keys/register', {
                ...body,
                signedPreKey: rest,
            }),
            'signedPreKey.createdAt',
        );
    });

    test('registrationId is needed where libsignal needs it', async () => {
        for (const suite of kSuites) {
            const device = new Device({ suite });
            const { registrationId, ...body } = device.registration();
            const response = await context.api.write(device, 'POST', '/v1/keys/register', body);
            if (isXeddsa(suite)) {
                expectField(response, 'registrationId');
            } else {
                expectOutcome(response, 201);
            }
        }
    });

    test('parallel registrations of one new address: one is new, all keys are kept', async () => {
        for (let round = 0; round < 10; round += 1) {
            const device = new Device();
            const bodies = Array.from({ length: 12 }, () =>
                device.seal(device.registration({ oneTime: 1 })),
            );
            const answers = await Promise.all(
                bodies.map((json) => context.api.request('POST', '/v1/keys/register', { json })),
            );
            const outcomes = answers.map(({ outcome }) => outcome);
            const made = outcomes.filter((outcome) => outcome === '201');
            assert.equal(made.length, 1, String(outcomes));
            assert.ok(
                outcomes.every((outcome) =>
                    ['200', '201', '409 SHADE_STALE_WRITE'].includes(outcome),
                ),
                String(outcomes),
            );
            const stored = answers.filter(({ status }) => status < 300).length;
            const count = expectOutcome(await context.api.count(device), 200);
            assert.equal(count.oneTimePreKeyCount, stored, 'an acknowledged key is gone');
        }
    });

    test('two identities racing for one address: exactly one wins', async () => {
        const address = freshAddress();
        const rivals = Array.from({ length: 8 }, () => new Device({ address }));
        const answers = await Promise.all(rivals.map((rival) => context.api.register(rival)));
        const winners = rivals.filter((_, i) => answers[i].status === 201);
        assert.equal(winners.length, 1);
        answers
            .filter(({ status }) => status !== 201)
            .forEach((answer) => expectError(answer, 409, 'SHADE_IDENTITY_CONFLICT'));
        const identity = expectOutcome(await context.api.identityOf(address), 200);
        assert.equal(identity.identitySigningKey, b64(winners[0].identity.keyBytes));
    });
});
