// A client of the prekeys service in one file: needs Node 20 or newer and nothing else.
//
//   node examples/register-and-fetch.mjs [URL] [ALICE] [BOB]
//
// Registers two devices, lets Bob fetch Alice's bundle twice, starts a session with it (X3DH) and
// asks, signed by Alice, how many one-time keys are left. Every request is printed as it is sent.
// The wire format is described in docs/protocol/prekeys.md.
//
// SHADE_AUDIENCE must be what the server has, when it has one.
import crypto from 'node:crypto';

const [
    base = 'http://localhost:3900',
    aliceAddress = `alice-${crypto.randomBytes(3).toString('hex')}:1`,
    bobAddress = `bob-${crypto.randomBytes(3).toString('hex')}:1`,
] = process.argv.slice(2);
const audience = process.env.SHADE_AUDIENCE ?? '';
const kOneTimeKeys = 20;

// ---- keys ----

const b64 = (bytes) => Buffer.from(bytes).toString('base64');
const sha256 = (...parts) => parts.reduce((h, p) => h.update(p), crypto.createHash('sha256')).digest();

// The raw 32 bytes are the end of a DER public key; the rest is a fixed prefix.
const rawPublic = (key) => key.export({ format: 'der', type: 'spki' }).subarray(-32);
const kSpkiPrefix = {
    ed25519: Buffer.from('302a300506032b6570032100', 'hex'),
    x25519: Buffer.from('302a300506032b656e032100', 'hex'),
};
const publicFromRaw = (kind, raw) =>
    crypto.createPublicKey({
        key: Buffer.concat([kSpkiPrefix[kind], Buffer.from(raw, 'base64')]),
        format: 'der',
        type: 'spki',
    });
const dh = (privateKey, publicKey) => crypto.diffieHellman({ privateKey, publicKey });

// What "SHADE-DHBIND-V1" signs: this DH key belongs to this address.
const dhBinding = (address, dhKey) =>
    Buffer.concat([Buffer.from(`SHADE-DHBIND-V1\0${address}\0`), dhKey]);

class Device {
    constructor(address) {
        this.address = address;
        this.signing = crypto.generateKeyPairSync('ed25519');
        this.dh = crypto.generateKeyPairSync('x25519');
        this.signedPreKey = crypto.generateKeyPairSync('x25519');
        this.oneTime = new Map(); // keyId -> key pair, used once and then thrown away
        for (let keyId = 1; keyId <= kOneTimeKeys; keyId += 1) {
            this.oneTime.set(keyId, crypto.generateKeyPairSync('x25519'));
        }
    }

    sign(message) {
        return crypto.sign(null, Buffer.from(message), this.signing.privateKey);
    }

    registration() {
        const dhKey = rawPublic(this.dh.publicKey);
        const prekey = rawPublic(this.signedPreKey.publicKey);
        return {
            address: this.address,
            suite: 'x3dh-ed25519',
            identitySigningKey: b64(rawPublic(this.signing.publicKey)),
            identityDhKey: b64(dhKey),
            identityDhKeySignature: b64(this.sign(dhBinding(this.address, dhKey))),
            signedPreKey: {
                keyId: 1,
                publicKey: b64(prekey),
                signature: b64(this.sign(prekey)),
                createdAt: Date.now(),
            },
            oneTimePreKeys: [...this.oneTime].map(([keyId, pair]) => ({
                keyId,
                publicKey: b64(rawPublic(pair.publicKey)),
            })),
        };
    }
}

// ---- the two ways to sign a request ----

// RFC 8785: members sorted, no spaces. JSON.stringify spells strings and integers as it demands.
function canonical(value) {
    if (Array.isArray(value)) {
        return `[${value.map(canonical).join(',')}]`;
    }
    if (value !== null && typeof value === 'object') {
        const members = Object.keys(value).sort();
        return `{${members.map((m) => `${JSON.stringify(m)}:${canonical(value[m])}`).join(',')}}`;
    }
    return JSON.stringify(value);
}

// Scheme A: `signedAt` and `signature` inside the body.
function sealed(device, body) {
    const withTime = { ...body, signedAt: Date.now() };
    return { ...withTime, signature: b64(device.sign(canonical(withTime))) };
}

// Scheme B: four headers that also bind method, path and server.
function signedHeaders(device, method, target, body = '') {
    const timestamp = String(Date.now());
    const nonce = crypto.randomBytes(16).toString('base64url');
    const text = [
        'SHADE-REQ-V1',
        method,
        target,
        audience,
        device.address,
        timestamp,
        nonce,
        sha256(body).toString('hex'),
    ].join('\n');
    return {
        'Shade-Address': device.address,
        'Shade-Timestamp': timestamp,
        'Shade-Nonce': nonce,
        'Shade-Signature': b64(device.sign(text)),
    };
}

// ---- talking to the server ----

const step = (title) => console.log(`\n== ${title}`);
const brief = (text, length = 30) => (text.length > length ? `${text.slice(0, length)}...` : text);
const shortened = (body) =>
    JSON.stringify(body, (_, value) => {
        if (Array.isArray(value) && value.length > 3) {
            return [value[0], `... ${value.length - 1} more`];
        }
        return typeof value === 'string' ? brief(value) : value;
    });

const kAdvice = {
    SHADE_IDENTITY_CONFLICT: 'an earlier run registered this name with other keys: choose another',
    SHADE_RATE_LIMITED:
        'five registrations an hour from one address are allowed; for experiments start the server\n' +
        'with SHADE_DISABLE_RATE_LIMIT=1',
    SHADE_BAD_REQUEST_SIGNATURE: 'does SHADE_AUDIENCE here equal that of the server?',
    SHADE_TIMESTAMP_SKEW: 'the clocks of client and server differ too much',
};

async function call(method, path, { body, headers = {} } = {}) {
    const url = new URL(base.replace(/\/$/, '') + path);
    const text = body === undefined ? undefined : JSON.stringify(body);
    console.log(`> ${method} ${url.pathname}${url.search}`);
    Object.entries(headers).forEach(([name, value]) => console.log(`> ${name}: ${brief(value)}`));
    if (body !== undefined) {
        console.log(`> ${shortened(body)}`);
    }
    const response = await fetch(url, {
        method,
        body: text,
        headers: { ...headers, ...(text === undefined ? {} : { 'Content-Type': 'application/json' }) },
    }).catch((error) => {
        console.error(`\nno answer from ${base}: ${error.cause?.message ?? error.message}`);
        process.exit(1);
    });
    const answer = await response.json();
    console.log(`< ${response.status} ${shortened(answer)}`);
    if (!response.ok) {
        console.error(`\n${answer.error.code}: ${answer.error.message}`);
        console.error(kAdvice[answer.error.code] ?? '');
        process.exit(1);
    }
    return answer;
}

// A signed request without a body can only use scheme B. The path is signed as it is sent.
function callSigned(device, method, path) {
    const { pathname, search } = new URL(base.replace(/\/$/, '') + path);
    return call(method, path, { headers: signedHeaders(device, method, pathname + search) });
}

function require(condition, what) {
    if (!condition) {
        console.error(`\nFAILED: ${what}`);
        process.exit(1);
    }
    console.log(`  ok: ${what}`);
}

// ---- X3DH, as far as it concerns the bundle: both sides must come to one secret ----

const joined = (secrets) => sha256(...secrets).toString('hex');

function startSession(me, bundle) {
    const identity = publicFromRaw('ed25519', bundle.identitySigningKey);
    const dhKey = Buffer.from(bundle.identityDhKey, 'base64');
    const prekey = Buffer.from(bundle.signedPreKey.publicKey, 'base64');
    require(
        crypto.verify(null, prekey, identity, Buffer.from(bundle.signedPreKey.signature, 'base64')),
        'the signed prekey is signed by the identity key',
    );
    require(
        crypto.verify(
            null,
            dhBinding(bundle.address, dhKey),
            identity,
            Buffer.from(bundle.identityDhKeySignature, 'base64'),
        ),
        'the DH key is bound to the address by the identity key',
    );
    const ephemeral = crypto.generateKeyPairSync('x25519');
    const signedPreKey = publicFromRaw('x25519', bundle.signedPreKey.publicKey);
    const oneTime = publicFromRaw('x25519', bundle.oneTimePreKey.publicKey);
    const secret = joined([
        dh(me.dh.privateKey, signedPreKey),
        dh(ephemeral.privateKey, publicFromRaw('x25519', bundle.identityDhKey)),
        dh(ephemeral.privateKey, signedPreKey),
        dh(ephemeral.privateKey, oneTime),
    ]);
    const keyId = bundle.oneTimePreKey.keyId;
    return { secret, hello: { keyId, dhKey: me.dh.publicKey, ephemeral: ephemeral.publicKey } };
}

function acceptSession(me, hello) {
    const oneTime = me.oneTime.get(hello.keyId);
    me.oneTime.delete(hello.keyId);
    return joined([
        dh(me.signedPreKey.privateKey, hello.dhKey),
        dh(me.dh.privateKey, hello.ephemeral),
        dh(me.signedPreKey.privateKey, hello.ephemeral),
        dh(oneTime.privateKey, hello.ephemeral),
    ]);
}

// ---- the tour ----

const alice = new Device(aliceAddress);
const bob = new Device(bobAddress);
const inPath = encodeURIComponent(alice.address).replaceAll('%3A', ':');

step(`${alice.address} registers with ${kOneTimeKeys} one-time keys (scheme A)`);
const registered = await call('POST', '/v1/keys/register', {
    body: sealed(alice, alice.registration()),
});
require(registered.oneTimePreKeyCount === kOneTimeKeys, `${kOneTimeKeys} one-time keys are stored`);

step(`${bob.address} registers too`);
await call('POST', '/v1/keys/register', { body: sealed(bob, bob.registration()) });

step(`${bob.address} fetches a bundle of ${alice.address}, who may be offline`);
const first = await call('GET', `/v1/keys/bundle/${inPath}`);

step('the bundle starts an encrypted session');
const session = startSession(bob, first);
require(acceptSession(alice, session.hello) === session.secret, 'both sides have the same secret');

step('a second fetch gets another one-time key');
const second = await call('GET', `/v1/keys/bundle/${inPath}`);
require(first.oneTimePreKey.keyId !== second.oneTimePreKey.keyId, 'no key is handed out twice');

step(`${alice.address} asks how many are left (scheme B)`);
const count = await callSigned(alice, 'GET', `/v1/keys/count/${inPath}`);
const expected = kOneTimeKeys - 2;
require(count.oneTimePreKeyCount === expected, `${count.oneTimePreKeyCount} one-time keys are left`);
