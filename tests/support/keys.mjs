// Raw key material of the four suites: Ed25519, X25519, XEdDSA, KEM keys, and the exact bytes that
// prekey signatures cover. Everything takes its randomness from a function, so that the examples of
// the API description can be made again byte for byte.
import crypto from 'node:crypto';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { ml_kem1024, ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import * as signal from '@signalapp/libsignal-client';

export const b64 = (bytes) => Buffer.from(bytes).toString('base64');
export const unb64 = (text) => Buffer.from(text, 'base64');
export const b64url = (bytes) => Buffer.from(bytes).toString('base64url');
export const sha256 = (...parts) => {
    const hash = crypto.createHash('sha256');
    parts.forEach((part) => hash.update(part));
    return hash.digest();
};
export const u32be = (n) => {
    const out = Buffer.alloc(4);
    out.writeUInt32BE(n);
    return out;
};
export const u64be = (n) => {
    const out = Buffer.alloc(8);
    out.writeBigUInt64BE(BigInt(n));
    return out;
};

// A reproducible byte source: SHA-256 in counter mode over a label.
export function seededRandom(label) {
    let counter = 0;
    return (length) => {
        let out = Buffer.alloc(0);
        while (out.length < length) {
            out = Buffer.concat([out, sha256(label, u32be(counter))]);
            counter += 1;
        }
        return out.subarray(0, length);
    };
}

const kEdPkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const kXPkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const kEdSpki = Buffer.from('302a300506032b6570032100', 'hex');
const kXSpki = Buffer.from('302a300506032b656e032100', 'hex');

const privateKey = (prefix, seed) =>
    crypto.createPrivateKey({ key: Buffer.concat([prefix, seed]), format: 'der', type: 'pkcs8' });
const publicKey = (prefix, raw) =>
    crypto.createPublicKey({ key: Buffer.concat([prefix, raw]), format: 'der', type: 'spki' });
const rawPublic = (key) =>
    crypto.createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);

export function ed25519KeyPair(random = crypto.randomBytes) {
    const seed = random(32);
    const key = privateKey(kEdPkcs8, seed);
    return {
        seed,
        publicKey: rawPublic(key),
        sign: (message) => crypto.sign(null, message, key),
    };
}
export const ed25519Verify = (raw, message, signature) =>
    crypto.verify(null, message, publicKey(kEdSpki, raw), signature);

export function x25519KeyPair(random = crypto.randomBytes) {
    const seed = random(32);
    const key = privateKey(kXPkcs8, seed);
    return { seed, publicKey: rawPublic(key) };
}
export const x25519Shared = (seed, raw) =>
    crypto.diffieHellman({
        privateKey: privateKey(kXPkcs8, seed),
        publicKey: publicKey(kXSpki, raw),
    });

// Signal's serialised form of a Curve25519 key: type byte 0x05, then u.
export const withDjbType = (raw) => Buffer.concat([Buffer.from([5]), raw]);

const littleEndian = (bytes) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
const bytes32 = (n) => Buffer.from(n.toString(16).padStart(64, '0'), 'hex').reverse();
const kOrder = ed25519.Point.Fn.ORDER;
const sha512 = (...parts) => {
    const hash = crypto.createHash('sha512');
    parts.forEach((part) => hash.update(part));
    return hash.digest();
};

// XEdDSA as its specification writes it (sections 2.3 and 2.4): independent of libsignal, which the
// self-tests compare it with, and deterministic when `random` is.
export function xeddsaSign(privateScalar, message, random = crypto.randomBytes) {
    const clamped = Buffer.from(privateScalar);
    clamped[0] &= 248;
    clamped[31] &= 127;
    clamped[31] |= 64;
    const k = littleEndian(clamped) % kOrder;
    const encoded = Buffer.from(ed25519.Point.BASE.multiply(k).toBytes());
    const a = (encoded[31] & 0x80) === 0 ? k : (kOrder - k) % kOrder;
    encoded[31] &= 0x7f;
    const prefix = Buffer.alloc(32, 0xff);
    prefix[0] = 0xfe;
    const r = littleEndian(sha512(prefix, bytes32(a), message, random(64))) % kOrder;
    const commitment = Buffer.from(ed25519.Point.BASE.multiply(r).toBytes());
    const h = littleEndian(sha512(commitment, encoded, message)) % kOrder;
    return Buffer.concat([commitment, bytes32((r + h * a) % kOrder)]);
}

export const xeddsaVerify = (serializedPublic, message, signature) =>
    signal.PublicKey.deserialize(new Uint8Array(serializedPublic)).verify(
        new Uint8Array(message),
        new Uint8Array(signature),
    );

// What the signature of a signed prekey covers.
export function signedPreKeyMessage(suite, { keyId, createdAt }, publicKeyBytes) {
    if (suite === 'pqxdh-ed25519') {
        return Buffer.concat([
            Buffer.from('SHADE-SPK-V1'),
            u32be(keyId),
            u64be(createdAt),
            publicKeyBytes,
        ]);
    }
    return Buffer.from(publicKeyBytes);
}
// What the signature of a KEM key covers.
export function kemKeyMessage(suite, { keyId, alg }, publicKeyBytes) {
    if (suite === 'pqxdh-ed25519') {
        return Buffer.concat([
            Buffer.from('SHADE-KEM-V1'),
            Buffer.from(alg),
            u32be(keyId),
            publicKeyBytes,
        ]);
    }
    return Buffer.from(publicKeyBytes);
}
export const dhBindingMessage = (address, dhKey) =>
    Buffer.concat([
        Buffer.from('SHADE-DHBIND-V1\0'),
        Buffer.from(address),
        Buffer.from([0]),
        dhKey,
    ]);
export const rotationMessage = (address, oldKeys, newKeys, signedAt) =>
    Buffer.concat([
        Buffer.from('SHADE-ROTATE-V1\0'),
        Buffer.from(address),
        Buffer.from([0]),
        oldKeys,
        newKeys,
        u64be(signedAt),
    ]);

// KEM key pairs. The raw public form is that of FIPS 203; libsignal puts a type byte before it.
export const kKemTypeByte = { kyber1024: 0x08, 'ml-kem-1024': 0x0a };
export function mlKemKeyPair(alg, random = crypto.randomBytes) {
    const kem = alg === 'ml-kem-768' ? ml_kem768 : ml_kem1024;
    const pair = kem.keygen(new Uint8Array(random(64)));
    return { publicKey: Buffer.from(pair.publicKey), secretKey: Buffer.from(pair.secretKey) };
}
export const mlKem = (alg) => (alg === 'ml-kem-768' ? ml_kem768 : ml_kem1024);

// Points of small order on both curves, for uploads that must be refused.
export const kSmallOrderEdwards = [
    '0100000000000000000000000000000000000000000000000000000000000000',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0000000000000000000000000000000000000000000000000000000000000080',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
].map((hex) => Buffer.from(hex, 'hex'));
export const kSmallOrderMontgomery = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].map((hex) => Buffer.from(hex, 'hex'));

export { ed25519, signal, x25519 };
