// The key-transparency log as an independent client sees it: RFC 6962/9162 trees, C2SP signed notes
// and tiles, ECVRF-EDWARDS25519-SHA512-TAI (RFC 9381), log entries and commitments. Written from the
// specifications, sharing nothing with the server.
import crypto from 'node:crypto';
import {
    b64,
    ed25519,
    ed25519KeyPair,
    ed25519Verify,
    sha256,
    u32be,
    u64be,
    unb64,
} from './keys.mjs';

const Point = ed25519.Point;
const kOrder = Point.Fn.ORDER;
const kCofactor = 8n;

const sha512 = (...parts) => {
    const hash = crypto.createHash('sha512');
    parts.forEach((part) => hash.update(part));
    return hash.digest();
};
const fromLittleEndian = (bytes) =>
    BigInt(`0x${Buffer.from(bytes).reverse().toString('hex') || '0'}`);
const toLittleEndian = (n, length) =>
    Buffer.from(n.toString(16).padStart(2 * length, '0'), 'hex').reverse();
const times = (point, n) => (n % kOrder === 0n ? Point.ZERO : point.multiply(n % kOrder));

// ---- VRF ----

const kVrfSuite = Buffer.from([3]);
const kFront = (n) => Buffer.from([n]);
const kBack = Buffer.from([0]);

function vrfPoint(publicKey, alpha) {
    for (let counter = 0; counter < 256; counter += 1) {
        const hash = sha512(kVrfSuite, kFront(1), publicKey, alpha, kFront(counter), kBack);
        try {
            const point = Point.fromBytes(new Uint8Array(hash.subarray(0, 32)), false);
            const cleared = point.multiplyUnsafe(kCofactor);
            if (!cleared.is0()) {
                return cleared;
            }
        } catch {
            // Not a point: the next counter.
        }
    }
    throw new Error('no curve point for this input');
}

const challenge = (...points) =>
    sha512(kVrfSuite, kFront(2), ...points.map((point) => point.toBytes()), kBack).subarray(0, 16);

const proofHash = (gamma) =>
    sha512(kVrfSuite, kFront(3), gamma.multiplyUnsafe(kCofactor).toBytes(), kBack);

export function vrfProve(seed, alpha) {
    const hashed = sha512(seed);
    const clamped = Buffer.from(hashed.subarray(0, 32));
    clamped[0] &= 248;
    clamped[31] &= 127;
    clamped[31] |= 64;
    const x = fromLittleEndian(clamped) % kOrder;
    const publicKey = Buffer.from(times(Point.BASE, x).toBytes());
    const h = vrfPoint(publicKey, alpha);
    const gamma = times(h, x);
    const k = fromLittleEndian(sha512(hashed.subarray(32), h.toBytes())) % kOrder;
    const y = Point.fromBytes(new Uint8Array(publicKey));
    const c = challenge(y, h, gamma, times(Point.BASE, k), times(h, k));
    const s = (k + fromLittleEndian(c) * x) % kOrder;
    return {
        proof: Buffer.concat([gamma.toBytes(), c, toLittleEndian(s, 32)]),
        output: proofHash(gamma),
        publicKey,
    };
}

// The output the proof shows, or null.
export function vrfVerify(publicKey, alpha, proof) {
    if (proof.length !== 80) {
        return null;
    }
    let y;
    let gamma;
    try {
        y = Point.fromBytes(new Uint8Array(publicKey));
        gamma = Point.fromBytes(new Uint8Array(proof.subarray(0, 32)));
    } catch {
        return null;
    }
    const c = fromLittleEndian(proof.subarray(32, 48));
    const s = fromLittleEndian(proof.subarray(48));
    if (s >= kOrder || y.isSmallOrder()) {
        return null;
    }
    const h = vrfPoint(publicKey, alpha);
    const u = times(Point.BASE, s).subtract(times(y, c));
    const v = times(h, s).subtract(times(gamma, c));
    const expected = challenge(y, h, gamma, u, v);
    return expected.equals(proof.subarray(32, 48)) ? proofHash(gamma) : null;
}

// ---- Merkle tree ----

export const leafHash = (leaf) => sha256(Buffer.from([0]), leaf);
export const nodeHash = (left, right) => sha256(Buffer.from([1]), left, right);

const splitPoint = (count) => {
    let k = 1;
    while (k * 2 < count) {
        k *= 2;
    }
    return k;
};

// RFC 9162 section 2.1.1 over leaf hashes.
export function treeRoot(hashes) {
    if (hashes.length === 0) {
        return sha256();
    }
    if (hashes.length === 1) {
        return hashes[0];
    }
    const k = splitPoint(hashes.length);
    return nodeHash(treeRoot(hashes.slice(0, k)), treeRoot(hashes.slice(k)));
}

export function inclusionProof(hashes, index) {
    if (hashes.length <= 1) {
        return [];
    }
    const k = splitPoint(hashes.length);
    return index < k
        ? [...inclusionProof(hashes.slice(0, k), index), treeRoot(hashes.slice(k))]
        : [...inclusionProof(hashes.slice(k), index - k), treeRoot(hashes.slice(0, k))];
}

export function consistencyProof(hashes, oldSize, isWhole = true) {
    if (oldSize === 0 || oldSize === hashes.length) {
        return isWhole ? [] : [treeRoot(hashes)];
    }
    const k = splitPoint(hashes.length);
    return oldSize <= k
        ? [...consistencyProof(hashes.slice(0, k), oldSize, isWhole), treeRoot(hashes.slice(k))]
        : [...consistencyProof(hashes.slice(k), oldSize - k, false), treeRoot(hashes.slice(0, k))];
}

// RFC 9162 section 2.1.3.2.
export function verifyInclusion(leaf, index, size, proof, root) {
    if (index >= size) {
        return false;
    }
    let fn = index;
    let sn = size - 1;
    let hash = leaf;
    for (const sibling of proof) {
        if (sn === 0) {
            return false;
        }
        if (fn % 2 === 1 || fn === sn) {
            hash = nodeHash(sibling, hash);
            while (fn % 2 === 0 && fn !== 0) {
                fn = Math.floor(fn / 2);
                sn = Math.floor(sn / 2);
            }
        } else {
            hash = nodeHash(hash, sibling);
        }
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
    }
    return sn === 0 && hash.equals(root);
}

// RFC 9162 section 2.1.4.2.
export function verifyConsistency(oldSize, oldRoot, newSize, newRoot, proof) {
    if (oldSize > newSize) {
        return false;
    }
    if (oldSize === 0 || oldSize === newSize) {
        return proof.length === 0 && (oldSize === 0 || oldRoot.equals(newRoot));
    }
    const isPowerOfTwo = (oldSize & (oldSize - 1)) === 0;
    const path = isPowerOfTwo ? [oldRoot, ...proof] : [...proof];
    if (path.length === 0) {
        return false;
    }
    let fn = oldSize - 1;
    let sn = newSize - 1;
    while (fn % 2 === 1) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
    }
    let [fr] = path;
    let [sr] = path;
    for (const c of path.slice(1)) {
        if (sn === 0) {
            return false;
        }
        if (fn % 2 === 1 || fn === sn) {
            fr = nodeHash(c, fr);
            sr = nodeHash(c, sr);
            while (fn % 2 === 0 && fn !== 0) {
                fn = Math.floor(fn / 2);
                sn = Math.floor(sn / 2);
            }
        } else {
            sr = nodeHash(sr, c);
        }
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
    }
    return sn === 0 && fr.equals(oldRoot) && sr.equals(newRoot);
}

// ---- notes and checkpoints ----

export function noteSigner(name, random) {
    const pair = ed25519KeyPair(random);
    const typed = Buffer.concat([Buffer.from([1]), pair.publicKey]);
    const id = sha256(`${name}\n`, typed).subarray(0, 4);
    return {
        name,
        vkey: `${name}+${id.toString('hex')}+${b64(typed)}`,
        sign: (text) =>
            `${text}\n— ${name} ${b64(Buffer.concat([id, pair.sign(Buffer.from(text))]))}\n`,
    };
}

export function parseVkey(vkey) {
    const [, name, id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey);
    const typed = unb64(encoded);
    if (typed[0] !== 1 || typed.length !== 33) {
        throw new Error(`not an Ed25519 verifier key: ${vkey}`);
    }
    if (sha256(`${name}\n`, typed).subarray(0, 4).toString('hex') !== id) {
        throw new Error(`wrong key id in ${vkey}`);
    }
    return { name, id, publicKey: typed.subarray(1) };
}

// { origin, size, root } of a note signed by the log; throws when it is not.
export function openCheckpoint(note, vkey) {
    const key = parseVkey(vkey);
    const split = note.indexOf('\n\n');
    const text = note.slice(0, split + 1);
    const lines = note.slice(split + 2).split('\n');
    const own = lines
        .map((line) => /^— (\S+) (\S+)$/.exec(line))
        .filter((match) => match?.[1] === key.name)
        .map((match) => unb64(match[2]))
        .filter((bytes) => bytes.subarray(0, 4).toString('hex') === key.id);
    const valid = own.some((bytes) =>
        ed25519Verify(key.publicKey, Buffer.from(text), bytes.subarray(4)),
    );
    if (split < 0 || !valid) {
        throw new Error(`the checkpoint is not signed by ${vkey}`);
    }
    const [origin, size, root] = text.split('\n');
    if (origin !== key.name || !/^(0|[1-9]\d*)$/.test(size)) {
        throw new Error(`malformed checkpoint: ${text}`);
    }
    return { origin, size: Number(size), root: unb64(root) };
}

// ---- log entries ----

const kKinds = [
    undefined,
    'register',
    'rotate_identity',
    'rotate_signed_prekey',
    'delete',
    'purge',
];
export const endsIdentity = (kind) => kind === 'delete' || kind === 'purge';

export function encodeLeaf({ kind, counter, previous, time, addressIndex, commitment }) {
    return Buffer.concat([
        Buffer.from([1, kKinds.indexOf(kind)]),
        u64be(counter),
        u64be(previous),
        u64be(time),
        addressIndex,
        commitment,
    ]);
}

export function decodeLeaf(bytes) {
    if (bytes.length !== 90 || bytes[0] !== 1 || !kKinds[bytes[1]]) {
        throw new Error(`unknown log entry: ${bytes.toString('hex')}`);
    }
    return {
        kind: kKinds[bytes[1]],
        counter: Number(bytes.readBigUInt64BE(2)),
        previous: Number(bytes.readBigUInt64BE(10)),
        time: Number(bytes.readBigUInt64BE(18)),
        addressIndex: bytes.subarray(26, 58),
        commitment: bytes.subarray(58, 90),
    };
}

// `opening` and bundles name the keys alike.
export function commitment(salt, address, identity) {
    const sized = (bytes) => Buffer.concat([u32be(bytes.length), bytes]);
    const member = (text) => sized(text ? unb64(text) : Buffer.alloc(0));
    return sha256(
        Buffer.from('NAVE-KT-COMMIT-V1\0'),
        salt,
        sized(Buffer.from(address)),
        sized(Buffer.from(identity.suite)),
        member(identity.identityKey ?? identity.identitySigningKey),
        member(identity.identityDhKey),
        member(identity.identityDhKeySignature),
        member(identity.signedPreKeyDigest),
    );
}

function provedLeaf(entry, address, index, checkpoint) {
    const bytes = unb64(entry.leaf);
    const leaf = decodeLeaf(bytes);
    if (!leaf.addressIndex.equals(index)) {
        throw new Error('the entry belongs to another address');
    }
    const proof = entry.inclusion.map(unb64);
    const { size, root } = checkpoint;
    if (!verifyInclusion(leafHash(bytes), entry.leafIndex, size, proof, root)) {
        throw new Error('the entry is not in the signed tree');
    }
    if (entry.opening) {
        const opened = commitment(unb64(entry.opening.salt), address, entry.opening);
        if (!opened.equals(leaf.commitment)) {
            throw new Error('the identity shown is not the one logged');
        }
    }
    return { ...leaf, leafIndex: entry.leafIndex, identity: entry.opening };
}

function addressIndex(address, proof, keys) {
    const output = vrfVerify(unb64(keys.vrfPublicKey), Buffer.from(address), unb64(proof));
    if (!output) {
        throw new Error('the VRF proof of the address is wrong');
    }
    return output.subarray(0, 32);
}

// Verifies GET /v1/kt/proof; returns { checkpoint, events }. `known` is a checkpoint from before.
export function verifyHistory(document, address, keys, known = undefined) {
    if (document.address !== address) {
        throw new Error('the proof is about another address');
    }
    const checkpoint = openCheckpoint(document.checkpoint, keys.vkey);
    if (known) {
        const proof = (document.consistency ?? []).map(unb64);
        if (known.size !== checkpoint.size && document.since !== known.size) {
            throw new Error('the proof does not start where it was asked to');
        }
        const { size, root } = checkpoint;
        if (!verifyConsistency(known.size, known.root, size, root, proof)) {
            throw new Error('the log was rewritten');
        }
    }
    const index = addressIndex(address, document.vrfProof, keys);
    const events = document.leaves.map((entry) => provedLeaf(entry, address, index, checkpoint));
    events.forEach((event, i) => {
        const before = events[i - 1];
        if (event.counter !== i + 1 || event.previous !== (before ? before.leafIndex + 1 : 0)) {
            throw new Error('the entries do not form a chain');
        }
        const isLive = before && !endsIdentity(before.kind);
        if (!isLive && event.kind !== 'register') {
            throw new Error(`an identity starts with ${event.kind}`);
        }
    });
    return { checkpoint, events };
}

// Verifies the `kt` member of a bundle or identity against the keys beside it.
export function verifyBundleProof(bundle, keys) {
    const { kt } = bundle;
    const checkpoint = openCheckpoint(kt.checkpoint, keys.vkey);
    if (checkpoint.size !== kt.treeSize) {
        throw new Error('the checkpoint is of another tree');
    }
    const index = addressIndex(bundle.address, kt.vrfProof, keys);
    const opening = { ...bundle, salt: kt.salt, signedPreKeyDigest: kt.signedPreKeyDigest };
    return provedLeaf({ ...kt, opening }, bundle.address, index, checkpoint);
}

// ---- tiles ----

export const tilePath = (level, index, width = 256) => {
    const digits = String(index).padStart(3, '0');
    const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g);
    const name = groups.map((group, i) => (i + 1 < groups.length ? `x${group}` : group)).join('/');
    return `${level}/${name}${width === 256 ? '' : `.p/${width}`}`;
};

// The entries in an entry bundle.
export function parseEntries(bytes) {
    const entries = [];
    for (let at = 0; at < bytes.length;) {
        const length = bytes.readUInt16BE(at);
        if (at + 2 + length > bytes.length) {
            throw new Error('an entry runs past the end of its bundle');
        }
        entries.push(bytes.subarray(at + 2, at + 2 + length));
        at += 2 + length;
    }
    return entries;
}
