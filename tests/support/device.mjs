// Device: one client of the prekey server, with its private keys. Builds what is uploaded and signs
// it by either scheme. Keys of the xeddsa suites come from libsignal unless `random` is given.
import crypto from 'node:crypto';
import { signedText } from './canonical.mjs';
import {
    b64,
    b64url,
    dhBindingMessage,
    ed25519KeyPair,
    kKemTypeByte,
    kemKeyMessage,
    mlKemKeyPair,
    rotationMessage,
    sha256,
    signal,
    signedPreKeyMessage,
    u64be,
    unb64,
    withDjbType,
    x25519KeyPair,
    xeddsaSign,
} from './keys.mjs';

export const kSuites = ['x3dh-ed25519', 'pqxdh-ed25519', 'pqxdh-xeddsa', 'x3dh-xeddsa'];
export const isXeddsa = (suite) => suite.endsWith('-xeddsa');
export const hasKem = (suite) => suite.startsWith('pqxdh-');

let addressCounter = 0;
// An address nobody else in this process uses.
export const freshAddress = (name = 'user') => {
    addressCounter += 1;
    return `${name}-${process.pid}-${addressCounter}:1`;
};

class Identity {
    constructor(suite, random, privateSeed) {
        this.suite = suite;
        this.random = random;
        if (isXeddsa(suite)) {
            const seed = privateSeed ?? (random ? random(32) : undefined);
            this.private = seed
                ? signal.PrivateKey.deserialize(new Uint8Array(clamp(seed)))
                : signal.PrivateKey.generate();
            this.keyBytes = Buffer.from(this.private.getPublicKey().serialize());
            this.dhBytes = Buffer.alloc(0);
        } else {
            this.signing = ed25519KeyPair(random);
            this.dh = x25519KeyPair(random);
            this.keyBytes = this.signing.publicKey;
            this.dhBytes = this.dh.publicKey;
        }
    }

    sign(message) {
        if (!isXeddsa(this.suite)) {
            return this.signing.sign(message);
        }
        if (this.random) {
            return xeddsaSign(this.private.serialize(), message, this.random);
        }
        return Buffer.from(this.private.sign(new Uint8Array(message)));
    }

    fields(address, { bindDh = true } = {}) {
        if (isXeddsa(this.suite)) {
            return { identityKey: b64(this.keyBytes) };
        }
        const out = { identitySigningKey: b64(this.keyBytes), identityDhKey: b64(this.dhBytes) };
        if (bindDh) {
            out.identityDhKeySignature = b64(this.sign(dhBindingMessage(address, this.dhBytes)));
        }
        return out;
    }
}

function clamp(seed) {
    const out = Buffer.from(seed);
    out[0] &= 248;
    out[31] &= 127;
    out[31] |= 64;
    return out;
}

export class Device {
    constructor({
        suite = 'x3dh-ed25519',
        address = freshAddress(),
        registrationId,
        random,
        identitySeed,
    } = {}) {
        this.suite = suite;
        this.address = address;
        this.random = random;
        this.registrationId = registrationId ?? 1 + crypto.randomInt(16380);
        this.identity = new Identity(suite, random, identitySeed);
        this.secrets = new Map(); // "ec/100", "spk/1", "kem/900" -> private part
        this.nextKeyId = 100;
        this.nextKemId = 5000;
        this.lastSignedAt = 0;
        this.signedPreKey = undefined;
        this.kemLastResortPreKey = undefined;
    }

    // A second device with the same keys, for another address.
    cloneTo(address) {
        const other = Object.create(Device.prototype);
        Object.assign(other, this, { address, secrets: new Map(this.secrets), lastSignedAt: 0 });
        return other;
    }

    // Milliseconds, strictly growing per device: an equal timestamp would be a stale write.
    now() {
        this.lastSignedAt = Math.max(Date.now(), this.lastSignedAt + 1);
        return this.lastSignedAt;
    }

    ecKeyPair() {
        if (isXeddsa(this.suite) && !this.random) {
            const key = signal.PrivateKey.generate();
            return { private: key, publicKey: Buffer.from(key.getPublicKey().serialize()) };
        }
        const pair = x25519KeyPair(this.random);
        return isXeddsa(this.suite)
            ? { private: pair.seed, publicKey: withDjbType(pair.publicKey) }
            : { private: pair.seed, publicKey: pair.publicKey };
    }

    newSignedPreKey(keyId = (this.signedPreKey?.keyId ?? 0) + 1, createdAt = Date.now()) {
        const pair = this.ecKeyPair();
        this.secrets.set(`spk/${keyId}`, pair.private);
        const message = signedPreKeyMessage(this.suite, { keyId, createdAt }, pair.publicKey);
        this.signedPreKey = {
            keyId,
            publicKey: b64(pair.publicKey),
            signature: b64(this.identity.sign(message)),
            createdAt,
        };
        return this.signedPreKey;
    }

    newOneTimePreKeys(count, firstKeyId = this.nextKeyId) {
        this.nextKeyId = Math.max(this.nextKeyId, firstKeyId + count);
        return Array.from({ length: count }, (_, i) => {
            const pair = this.ecKeyPair();
            this.secrets.set(`ec/${firstKeyId + i}`, pair.private);
            return { keyId: firstKeyId + i, publicKey: b64(pair.publicKey) };
        });
    }

    newKemPreKey(keyId, alg = isXeddsa(this.suite) ? 'kyber1024' : 'ml-kem-1024') {
        let publicKey;
        if (isXeddsa(this.suite) && alg === 'kyber1024' && !this.random) {
            const pair = signal.KEMKeyPair.generate();
            publicKey = Buffer.from(pair.getPublicKey().serialize());
            this.secrets.set(`kem/${keyId}`, pair);
        } else {
            // The public halves of Kyber round 3 and ML-KEM have one format and one distribution.
            const pair = mlKemKeyPair(alg, this.random);
            this.secrets.set(`kem/${keyId}`, pair.secretKey);
            publicKey = isXeddsa(this.suite)
                ? Buffer.concat([Buffer.from([kKemTypeByte[alg]]), pair.publicKey])
                : pair.publicKey;
        }
        const message = kemKeyMessage(this.suite, { keyId, alg }, publicKey);
        return {
            keyId,
            alg,
            publicKey: b64(publicKey),
            signature: b64(this.identity.sign(message)),
        };
    }

    newKemPreKeys(count, firstKeyId = this.nextKemId, alg = undefined) {
        this.nextKemId = Math.max(this.nextKemId, firstKeyId + count);
        return Array.from({ length: count }, (_, i) => this.newKemPreKey(firstKeyId + i, alg));
    }

    newKemLastResort(keyId = (this.kemLastResortPreKey?.keyId ?? 899) + 1, alg = undefined) {
        this.kemLastResortPreKey = this.newKemPreKey(keyId, alg);
        return this.kemLastResortPreKey;
    }

    // The unsigned body of a registration. Keeps the current signed prekey unless told otherwise.
    registration({ oneTime = 0, kemOneTime = 0, mode, bindDh = true, members = {} } = {}) {
        const body = {
            address: this.address,
            suite: this.suite,
            registrationId: this.registrationId,
            ...this.identity.fields(this.address, { bindDh }),
            signedPreKey: this.signedPreKey ?? this.newSignedPreKey(),
            oneTimePreKeys: this.newOneTimePreKeys(oneTime),
        };
        if (hasKem(this.suite)) {
            body.kemLastResortPreKey = this.kemLastResortPreKey ?? this.newKemLastResort();
            body.kemOneTimePreKeys = this.newKemPreKeys(kemOneTime);
        }
        if (mode !== undefined) {
            body.mode = mode;
        }
        return { ...body, ...members };
    }

    // Scheme A: the body with signedAt and signature.
    seal(body, { signedAt = this.now(), signer = this.identity } = {}) {
        const signed = { ...body, signedAt };
        const signature = b64(signer.sign(Buffer.from(signedText(signed), 'utf8')));
        return { ...signed, signature };
    }

    // Scheme B: the headers for one request. `target` is path and query as sent.
    requestHeaders(method, target, bodyBytes, options = {}) {
        const {
            audience = '',
            address = this.address,
            timestamp = this.now(),
            nonce = b64url((this.random ?? crypto.randomBytes)(16)),
            signer = this.identity,
        } = options;
        const text = requestText({
            method,
            target,
            audience,
            address,
            timestamp,
            nonce,
            bodyBytes,
        });
        return {
            'Shade-Address': address,
            'Shade-Timestamp': String(timestamp),
            'Shade-Nonce': nonce,
            'Shade-Signature': b64(signer.sign(Buffer.from(text, 'utf8'))),
        };
    }

    // The digest of POST /v1/keys/check for what this device believes is stored.
    digest() {
        const parts = [
            this.identity.keyBytes,
            this.identity.dhBytes,
            u64be(this.signedPreKey.keyId),
            unb64(this.signedPreKey.publicKey),
        ];
        if (this.kemLastResortPreKey) {
            parts.push(u64be(this.kemLastResortPreKey.keyId));
            parts.push(unb64(this.kemLastResortPreKey.publicKey));
        }
        return b64(sha256(...parts));
    }

    // A new identity for this address: the unsigned body of rotate-identity, and the device that
    // owns the new keys. The request has to be signed by *this* device with the same `signedAt`.
    rotation({ signedAt = this.now(), oneTime = 0, kemOneTime = 0, members = {}, next } = {}) {
        next ??= new Device({
            suite: this.suite,
            address: this.address,
            registrationId: this.registrationId,
        });
        next.lastSignedAt = signedAt;
        next.nextKeyId = this.nextKeyId;
        next.nextKemId = this.nextKemId;
        if (!next.signedPreKey) {
            next.newSignedPreKey((this.signedPreKey?.keyId ?? 0) + 1);
        }
        const message = rotationMessage(
            this.address,
            this.identity.keyBytes,
            next.identity.keyBytes,
            signedAt,
        );
        const body = {
            address: this.address,
            newIdentity: next.identity.fields(this.address),
            signedPreKey: next.signedPreKey,
            proof: b64(next.identity.sign(message)),
        };
        if (hasKem(this.suite)) {
            body.kemLastResortPreKey = next.newKemLastResort(
                (this.kemLastResortPreKey?.keyId ?? 899) + 1,
            );
        }
        if (oneTime > 0) {
            body.oneTimePreKeys = next.newOneTimePreKeys(oneTime);
        }
        if (kemOneTime > 0) {
            body.kemOneTimePreKeys = next.newKemPreKeys(kemOneTime);
        }
        return { next, signedAt, body: { ...body, ...members } };
    }
}

// The lines scheme B signs.
export function requestText({ method, target, audience, address, timestamp, nonce, bodyBytes }) {
    const [path, query] = splitTarget(target);
    const sorted = query === undefined ? path : `${path}?${sortedQuery(query)}`;
    return [
        'SHADE-REQ-V1',
        method.toUpperCase(),
        sorted,
        audience,
        address,
        String(timestamp),
        nonce,
        sha256(bodyBytes ?? Buffer.alloc(0)).toString('hex'),
    ].join('\n');
}

function splitTarget(target) {
    const mark = target.indexOf('?');
    return mark < 0 ? [target, undefined] : [target.slice(0, mark), target.slice(mark + 1)];
}

// Sorted by key; pairs of one key keep their order. Percent-encoding stays as sent.
function sortedQuery(query) {
    const keyOf = (pair) => pair.split('=', 1)[0];
    return query
        .split('&')
        .map((pair, index) => ({ pair, index, key: keyOf(pair) }))
        .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.index - b.index))
        .map(({ pair }) => pair)
        .join('&');
}
