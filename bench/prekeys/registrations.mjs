// Writes signed registrations, one JSON body per line, for the load generator to replay:
//   node registrations.mjs FILE COUNT ONE_TIME_KEYS
// Every one is a device of its own (suite x3dh-ed25519, scheme A) at `bench-<n>:1`. The prekeys are
// random bytes, which nobody knows the private keys of: nobody starts a session here.
import crypto from 'node:crypto';
import fs from 'node:fs';

const [file, count, oneTimeKeys] = process.argv.slice(2);
const b64 = (bytes) => Buffer.from(bytes).toString('base64');
const out = fs.createWriteStream(file);

// X25519 public keys in canonical form: the top bit clear.
function publicKeys(number) {
    const bytes = crypto.randomBytes(32 * number);
    return Array.from({ length: number }, (_, i) => {
        const key = bytes.subarray(32 * i, 32 * (i + 1));
        key[31] &= 0x7f;
        return key;
    });
}

// RFC 8785 for what is sent here: members sorted, no spaces.
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

function registration(address) {
    const identity = crypto.generateKeyPairSync('ed25519');
    const sign = (message) => b64(crypto.sign(null, Buffer.from(message), identity.privateKey));
    const [dh, prekey, ...oneTime] = publicKeys(2 + Number(oneTimeKeys));
    const body = {
        address,
        suite: 'x3dh-ed25519',
        identitySigningKey: b64(identity.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)),
        identityDhKey: b64(dh),
        identityDhKeySignature: sign(Buffer.concat([Buffer.from(`SHADE-DHBIND-V1\0${address}\0`), dh])),
        signedPreKey: { keyId: 1, publicKey: b64(prekey), signature: sign(prekey), createdAt: Date.now() },
        oneTimePreKeys: oneTime.map((key, i) => ({ keyId: i + 1, publicKey: b64(key) })),
        signedAt: Date.now(),
    };
    const text = canonical(body);
    return `${text.slice(0, -1)},"signature":"${sign(text)}"}\n`;
}

for (let i = 0; i < Number(count); i += 1) {
    if (!out.write(registration(`bench-${i}:1`))) {
        await new Promise((resolve) => out.once('drain', resolve));
    }
}
out.end();
