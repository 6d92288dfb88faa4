// A client on libsodium alone, suite x3dh-ed25519: registers, is found, and both sides of an X3DH
// agreement arrive at one secret, with and without a one-time key.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import sodium from 'libsodium-wrappers';
import { freshAddress, signedText } from '../../support/client.mjs';
import { expectOutcome } from '../../support/expect.mjs';
import { onEachStore } from '../../support/stores.mjs';

const encode = (bytes) => sodium.to_base64(bytes, sodium.base64_variants.ORIGINAL);
const decode = (text) => sodium.from_base64(text, sodium.base64_variants.ORIGINAL);
const concat = (...parts) => new Uint8Array(Buffer.concat(parts));
const dhBinding = (address, key) => concat(Buffer.from(`SHADE-DHBIND-V1\0${address}\0`), key);

before(() => sodium.ready);

class SodiumClient {
    constructor(name) {
        this.address = freshAddress(name);
        this.signing = sodium.crypto_sign_keypair();
        this.dh = sodium.crypto_box_keypair();
        this.signedPreKey = sodium.crypto_box_keypair();
        this.oneTime = new Map();
    }

    sign(bytes) {
        return encode(sodium.crypto_sign_detached(bytes, this.signing.privateKey));
    }

    registration(oneTimeCount) {
        for (let i = 0; i < oneTimeCount; i += 1) {
            this.oneTime.set(1000 + i, sodium.crypto_box_keypair());
        }
        const body = {
            address: this.address,
            identitySigningKey: encode(this.signing.publicKey),
            identityDhKey: encode(this.dh.publicKey),
            identityDhKeySignature: this.sign(dhBinding(this.address, this.dh.publicKey)),
            signedPreKey: {
                keyId: 1,
                publicKey: encode(this.signedPreKey.publicKey),
                signature: this.sign(this.signedPreKey.publicKey),
                createdAt: Date.now(),
            },
            oneTimePreKeys: [...this.oneTime].map(([keyId, { publicKey }]) => ({
                keyId,
                publicKey: encode(publicKey),
            })),
            signedAt: Date.now(),
        };
        return { ...body, signature: this.sign(sodium.from_string(signedText(body))) };
    }
}

// X3DH section 3.3, with BLAKE2b in the place of HKDF.
const derive = (...shared) =>
    sodium.crypto_generichash(32, concat(Buffer.alloc(32, 0xff), ...shared), 'x3dh');

function initiate(alice, bundle) {
    const verify = (message, signature) =>
        sodium.crypto_sign_verify_detached(
            decode(signature),
            message,
            decode(bundle.identitySigningKey),
        );
    const prekey = decode(bundle.signedPreKey.publicKey);
    assert.ok(verify(prekey, bundle.signedPreKey.signature));
    const peerDh = decode(bundle.identityDhKey);
    assert.ok(verify(dhBinding(bundle.address, peerDh), bundle.identityDhKeySignature));
    const ephemeral = sodium.crypto_box_keypair();
    const dh = sodium.crypto_scalarmult;
    const shared = [
        dh(alice.dh.privateKey, prekey),
        dh(ephemeral.privateKey, peerDh),
        dh(ephemeral.privateKey, prekey),
    ];
    if (bundle.oneTimePreKey) {
        shared.push(dh(ephemeral.privateKey, decode(bundle.oneTimePreKey.publicKey)));
    }
    const header = {
        from: alice.dh.publicKey,
        ephemeral: ephemeral.publicKey,
        signedPreKeyId: bundle.signedPreKey.keyId,
        oneTimePreKeyId: bundle.oneTimePreKey?.keyId,
    };
    return { header, secret: derive(...shared) };
}

function respond(bob, header) {
    const dh = sodium.crypto_scalarmult;
    const shared = [
        dh(bob.signedPreKey.privateKey, header.from),
        dh(bob.dh.privateKey, header.ephemeral),
        dh(bob.signedPreKey.privateKey, header.ephemeral),
    ];
    if (header.oneTimePreKeyId !== undefined) {
        const { privateKey } = bob.oneTime.get(header.oneTimePreKeyId);
        bob.oneTime.delete(header.oneTimePreKeyId);
        shared.push(dh(privateKey, header.ephemeral));
    }
    return derive(...shared);
}

onEachStore('libsodium X3DH', (context) => {
    test('both sides compute one secret, with and without a one-time key', async () => {
        const [alice, bob] = [new SodiumClient('alice'), new SodiumClient('bob')];
        for (const [client, count] of [
            [alice, 0],
            [bob, 2],
        ]) {
            const json = client.registration(count);
            expectOutcome(await context.api.request('POST', '/v1/keys/register', { json }), 201);
        }
        for (const expected of ['issued', 'issued', 'exhausted']) {
            const bundle = expectOutcome(await context.api.bundle(bob.address), 200);
            assert.equal(bundle.oneTimeStatus, expected);
            const { header, secret } = initiate(alice, bundle);
            const nonce = sodium.randombytes_buf(sodium.crypto_secretbox_NONCEBYTES);
            const box = sodium.crypto_secretbox_easy(sodium.from_string('hello'), nonce, secret);
            const opened = sodium.crypto_secretbox_open_easy(box, nonce, respond(bob, header));
            assert.equal(sodium.to_string(opened), 'hello');
        }
        assert.equal(bob.oneTime.size, 0);
    });

    test('a client that was restarted finds its keys unchanged', async () => {
        const bob = new SodiumClient('bob');
        const json = bob.registration(1);
        expectOutcome(await context.api.request('POST', '/v1/keys/register', { json }), 201);
        await context.backend.restart();
        const alice = new SodiumClient('alice');
        const bundle = expectOutcome(await context.api.bundle(bob.address), 200);
        const { header, secret } = initiate(alice, bundle);
        assert.deepEqual(respond(bob, header), secret);
    });
});
