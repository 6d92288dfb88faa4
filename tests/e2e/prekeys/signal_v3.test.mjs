// A TypeScript implementation of Signal's version 3 sessions (X3DH, no KEM keys) through a real
// server, suite x3dh-xeddsa. Keys and prekey signatures are that library's own; it does not sign
// requests, which is done beside it with the same identity key.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as libsignal from '@privacyresearch/libsignal-protocol-typescript';
import { b64, freshAddress, signedText, xeddsaSign } from '../../support/client.mjs';
import { expectOutcome } from '../../support/expect.mjs';
import { onEachStore } from '../../support/stores.mjs';

const { KeyHelper, SessionBuilder, SessionCipher, SignalProtocolAddress } =
    libsignal.default ?? libsignal;

const arrayBuffer = (text) => {
    const bytes = Buffer.from(text, 'base64');
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
};
const text64 = (buffer) => b64(new Uint8Array(buffer));
const toBuffer = (bytes) => bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);

// The storage the library asks for, in memory.
class Storage {
    constructor(identity, registrationId) {
        this.identity = identity;
        this.registrationId = registrationId;
        this.identities = new Map();
        this.preKeys = new Map();
        this.signedPreKeys = new Map();
        this.sessions = new Map();
    }
    async getIdentityKeyPair() {
        return this.identity;
    }
    async getLocalRegistrationId() {
        return this.registrationId;
    }
    async isTrustedIdentity(name, key) {
        const known = this.identities.get(name);
        return !known || known === text64(key);
    }
    async saveIdentity(name, key) {
        const short = SignalProtocolAddress.fromString(name).getName();
        const changed = this.identities.has(short) && this.identities.get(short) !== text64(key);
        this.identities.set(short, text64(key));
        return changed;
    }
    async loadPreKey(id) {
        return this.preKeys.get(String(id));
    }
    async storePreKey(id, pair) {
        this.preKeys.set(String(id), pair);
    }
    async removePreKey(id) {
        this.preKeys.delete(String(id));
    }
    async loadSignedPreKey(id) {
        return this.signedPreKeys.get(String(id));
    }
    async storeSignedPreKey(id, pair) {
        this.signedPreKeys.set(String(id), pair);
    }
    async removeSignedPreKey(id) {
        this.signedPreKeys.delete(String(id));
    }
    async loadSession(name) {
        return this.sessions.get(name);
    }
    async storeSession(name, record) {
        this.sessions.set(name, record);
    }
}

async function newParty(name) {
    const identity = await KeyHelper.generateIdentityKeyPair();
    const registrationId = KeyHelper.generateRegistrationId();
    return {
        name: new SignalProtocolAddress(name, 1),
        storage: new Storage(identity, (registrationId % 16380) + 1),
        sign: (message) => b64(xeddsaSign(new Uint8Array(identity.privKey), Buffer.from(message))),
    };
}

async function registration(party, address, oneTime) {
    const { storage } = party;
    const signed = await KeyHelper.generateSignedPreKey(storage.identity, 1);
    await storage.storeSignedPreKey(1, signed.keyPair);
    const oneTimePreKeys = [];
    for (let i = 0; i < oneTime; i += 1) {
        const { keyId, keyPair } = await KeyHelper.generatePreKey(100 + i);
        await storage.storePreKey(keyId, keyPair);
        oneTimePreKeys.push({ keyId, publicKey: text64(keyPair.pubKey) });
    }
    const body = {
        address,
        suite: 'x3dh-xeddsa',
        registrationId: storage.registrationId,
        identityKey: text64(storage.identity.pubKey),
        signedPreKey: {
            keyId: 1,
            publicKey: text64(signed.keyPair.pubKey),
            signature: text64(signed.signature),
        },
        oneTimePreKeys,
        signedAt: Date.now(),
    };
    return { ...body, signature: party.sign(signedText(body)) };
}

async function startSession(party, peer, bundle) {
    const { oneTimePreKey, signedPreKey } = bundle;
    await new SessionBuilder(party.storage, peer.name).processPreKey({
        identityKey: arrayBuffer(bundle.identityKey),
        registrationId: bundle.registrationId,
        signedPreKey: {
            keyId: signedPreKey.keyId,
            publicKey: arrayBuffer(signedPreKey.publicKey),
            signature: arrayBuffer(signedPreKey.signature),
        },
        ...(oneTimePreKey
            ? {
                  preKey: {
                      keyId: oneTimePreKey.keyId,
                      publicKey: arrayBuffer(oneTimePreKey.publicKey),
                  },
              }
            : {}),
    });
}

const encrypt = (party, peer, text) =>
    new SessionCipher(party.storage, peer.name).encrypt(toBuffer(Buffer.from(text)));

async function decrypt(party, peer, message) {
    const cipher = new SessionCipher(party.storage, peer.name);
    const plain =
        message.type === 3
            ? await cipher.decryptPreKeyWhisperMessage(message.body, 'binary')
            : await cipher.decryptWhisperMessage(message.body, 'binary');
    return Buffer.from(plain).toString('utf8');
}

onEachStore('Signal version 3', (context) => {
    test('X3DH sessions with and without a one-time key', async () => {
        const bob = await newParty('bob');
        const address = freshAddress('bob');
        const json = await registration(bob, address, 1);
        expectOutcome(await context.api.request('POST', '/v1/keys/register', { json }), 201);
        for (const expected of ['issued', 'exhausted']) {
            const alice = await newParty(`alice-${expected}`);
            const bundle = expectOutcome(await context.api.bundle(address), 200);
            assert.equal(bundle.oneTimeStatus, expected);
            assert.equal(bundle.kemPreKey, null);
            await startSession(alice, bob, bundle);
            const hello = await encrypt(alice, bob, `hello, ${expected}`);
            assert.equal(hello.type, 3);
            assert.equal(await decrypt(bob, alice, hello), `hello, ${expected}`);
            const reply = await encrypt(bob, alice, 'and back');
            assert.equal(reply.type, 1);
            assert.equal(await decrypt(alice, bob, reply), 'and back');
            const more = await encrypt(alice, bob, 'once more');
            assert.equal(await decrypt(bob, alice, more), 'once more');
        }
        assert.equal(bob.storage.preKeys.size, 0, 'the one-time key was used and removed');
    });

    test('the server refuses what the library signed for something else', async () => {
        const bob = await newParty('bob');
        const json = await registration(bob, freshAddress('bob'), 0);
        json.signedPreKey.signature = bob.sign('something else');
        const { signature, ...body } = json;
        const response = await context.api.request('POST', '/v1/keys/register', {
            json: { ...body, signature: bob.sign(signedText(body)) },
        });
        expectOutcome(response, '422 SHADE_INVALID_SIGNATURE');
    });
});
