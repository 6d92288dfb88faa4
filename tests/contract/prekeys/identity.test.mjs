// GET /v1/keys/identity and POST /v1/keys/check: looking without consuming.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import { b64, Device, freshAddress, kSuites } from '../../support/client.mjs';
import { expectError, expectField, expectOutcome } from '../../support/expect.mjs';
import { onEachStore } from '../../support/stores.mjs';

onEachStore('identity and check', (context) => {
    for (const suite of kSuites) {
        test(`${suite}: the identity is that of the bundle, and nothing is consumed`, async () => {
            const device = new Device({ suite });
            expectOutcome(await context.api.register(device, { oneTime: 1, kemOneTime: 1 }), 201);
            const identity = expectOutcome(await context.api.identityOf(device.address), 200);
            expectOutcome(await context.api.identityOf(device.address), 200);
            const bundle = expectOutcome(await context.api.bundle(device.address), 200);
            assert.equal(bundle.oneTimeStatus, 'issued');
            const { oneTimePreKey, kemPreKey, oneTimeStatus, issuedAt, kt, ...rest } = bundle;
            const { kt: proof, ...identityRest } = identity;
            assert.deepEqual(identityRest, rest);
        });

        test(`${suite}: the digest matches until something changes`, async () => {
            const device = new Device({ suite });
            expectOutcome(await context.api.register(device, { oneTime: 1 }), 201);
            const before = device.digest();
            assert.deepEqual(
                expectOutcome(await context.api.checkDigest(device.address, before), 200),
                { match: true },
            );
            const signedPreKey = device.newSignedPreKey();
            expectOutcome(await context.api.rotateSignedPreKey(device, { signedPreKey }), 200);
            expectError(
                await context.api.checkDigest(device.address, before),
                409,
                'SHADE_DIGEST_MISMATCH',
            );
            expectOutcome(await context.api.checkDigest(device.address, device.digest()), 200);
        });
    }

    test('the digest covers the last-resort key', async () => {
        const device = new Device({ suite: 'pqxdh-ed25519' });
        expectOutcome(await context.api.register(device), 201);
        const before = device.digest();
        const kemLastResortPreKey = device.newKemLastResort();
        expectOutcome(await context.api.replenish(device, { kemLastResortPreKey }), 200);
        expectError(
            await context.api.checkDigest(device.address, before),
            409,
            'SHADE_DIGEST_MISMATCH',
        );
        expectOutcome(await context.api.checkDigest(device.address, device.digest()), 200);
    });

    test('unknown addresses', async () => {
        expectError(await context.api.identityOf(freshAddress()), 404, 'SHADE_NOT_FOUND');
        const digest = b64(crypto.randomBytes(32));
        expectError(await context.api.checkDigest(freshAddress(), digest), 404, 'SHADE_NOT_FOUND');
    });

    test('digests that are none', async () => {
        const device = new Device();
        expectOutcome(await context.api.register(device), 201);
        for (const digest of [b64(Buffer.alloc(31)), b64(Buffer.alloc(33)), 'x', '', 1, null]) {
            expectField(await context.api.checkDigest(device.address, digest), 'digest');
        }
        expectField(
            await context.api.request('POST', '/v1/keys/check', {
                json: { digest: b64(Buffer.alloc(32)) },
            }),
            'address',
        );
    });
});
