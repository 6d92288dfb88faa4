// PQXDH with @noble/curves and @noble/post-quantum, suite pqxdh-ed25519: every signature of the
// bundle is checked, and both sides arrive at one secret in every state of the stock.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import {
    Device,
    dhBindingMessage,
    ed25519,
    kemKeyMessage,
    mlKem,
    signedPreKeyMessage,
    unb64,
    x25519,
} from '../../support/client.mjs';
import { expectOutcome } from '../../support/expect.mjs';
import { onEachStore } from '../../support/stores.mjs';

const bytes = (buffer) => new Uint8Array(buffer);
const key = (text) => bytes(unb64(text));
const derive = (...shared) =>
    hkdf(
        nobleSha256,
        bytes(Buffer.concat([Buffer.alloc(32, 0xff), ...shared])),
        new Uint8Array(32),
        bytes(Buffer.from('pqxdh-ed25519 test')),
        32,
    );

function checkBundle(bundle) {
    const verify = (message, signature) =>
        ed25519.verify(key(signature), bytes(message), key(bundle.identitySigningKey));
    const { signedPreKey, kemPreKey } = bundle;
    assert.ok(
        verify(
            signedPreKeyMessage(bundle.suite, signedPreKey, unb64(signedPreKey.publicKey)),
            signedPreKey.signature,
        ),
    );
    assert.ok(
        verify(
            kemKeyMessage(bundle.suite, kemPreKey, unb64(kemPreKey.publicKey)),
            kemPreKey.signature,
        ),
    );
    assert.ok(
        verify(
            dhBindingMessage(bundle.address, unb64(bundle.identityDhKey)),
            bundle.identityDhKeySignature,
        ),
    );
}

function initiate(identityPrivate, bundle) {
    checkBundle(bundle);
    const ephemeral = x25519.utils.randomSecretKey();
    const dh = (secret, text) => x25519.getSharedSecret(secret, key(text));
    const shared = [
        dh(identityPrivate, bundle.signedPreKey.publicKey),
        dh(ephemeral, bundle.identityDhKey),
        dh(ephemeral, bundle.signedPreKey.publicKey),
    ];
    if (bundle.oneTimePreKey) {
        shared.push(dh(ephemeral, bundle.oneTimePreKey.publicKey));
    }
    const { cipherText, sharedSecret } = mlKem(bundle.kemPreKey.alg).encapsulate(
        key(bundle.kemPreKey.publicKey),
    );
    shared.push(sharedSecret);
    return {
        secret: derive(...shared),
        message: {
            from: x25519.getPublicKey(identityPrivate),
            ephemeral: x25519.getPublicKey(ephemeral),
            cipherText,
            signedPreKeyId: bundle.signedPreKey.keyId,
            oneTimePreKeyId: bundle.oneTimePreKey?.keyId,
            kemPreKeyId: bundle.kemPreKey.keyId,
        },
    };
}

function respond(device, alg, message) {
    const secretOf = (slot) => bytes(device.secrets.get(slot));
    const dh = (secret, publicKey) => x25519.getSharedSecret(secret, publicKey);
    const prekey = secretOf(`spk/${message.signedPreKeyId}`);
    const shared = [
        dh(prekey, message.from),
        dh(bytes(device.identity.dh.seed), message.ephemeral),
        dh(prekey, message.ephemeral),
    ];
    if (message.oneTimePreKeyId !== undefined) {
        shared.push(dh(secretOf(`ec/${message.oneTimePreKeyId}`), message.ephemeral));
    }
    const secret = secretOf(`kem/${message.kemPreKeyId}`);
    shared.push(mlKem(alg).decapsulate(message.cipherText, secret));
    return derive(...shared);
}

onEachStore('noble PQXDH', (context) => {
    for (const alg of ['ml-kem-1024', 'ml-kem-768']) {
        test(`one secret on both sides in every state of the stock, ${alg}`, async () => {
            const bob = new Device({ suite: 'pqxdh-ed25519' });
            bob.newKemLastResort(900, alg);
            const body = bob.registration({ oneTime: 2 });
            body.kemOneTimePreKeys = bob.newKemPreKeys(1, 5000, alg);
            expectOutcome(await context.api.write(bob, 'POST', '/v1/keys/register', body), 201);
            const states = [];
            for (let i = 0; i < 3; i += 1) {
                const bundle = expectOutcome(await context.api.bundle(bob.address), 200);
                const { secret, message } = initiate(x25519.utils.randomSecretKey(), bundle);
                assert.deepEqual(respond(bob, bundle.kemPreKey.alg, message), secret);
                states.push([bundle.oneTimeStatus, bundle.kemPreKey.lastResort]);
            }
            assert.deepEqual(states, [
                ['issued', false],
                ['issued', true],
                ['exhausted', true],
            ]);
        });
    }

    test('after an identity rotation the new keys work and the old proofs do not', async () => {
        const bob = new Device({ suite: 'pqxdh-ed25519' });
        expectOutcome(await context.api.register(bob, { oneTime: 1 }), 201);
        const rotation = bob.rotation({ oneTime: 1, kemOneTime: 1 });
        expectOutcome(
            await context.api.write(bob, 'POST', '/v1/keys/rotate-identity', rotation.body, {
                signedAt: rotation.signedAt,
            }),
            200,
        );
        const bundle = expectOutcome(await context.api.bundle(bob.address), 200);
        const { secret, message } = initiate(x25519.utils.randomSecretKey(), bundle);
        assert.deepEqual(respond(rotation.next, bundle.kemPreKey.alg, message), secret);
    });
});
