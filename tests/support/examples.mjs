// The examples of the API description. They are computed, not typed: keys have their real lengths,
// signatures verify, and proofs prove. The same seed gives the same bytes, so a test can compare.
// `node support/examples.mjs --write` puts them at the end of src/prekeys/openapi.yaml.
import fs from 'node:fs';
import { pathToFileURL } from 'node:url';
import YAML from 'yaml';
import { Device, requestText } from './device.mjs';
import { b64, b64url, ed25519KeyPair, seededRandom, sha256, unb64 } from './keys.mjs';
import { kDescriptionFile } from './openapi.mjs';
import {
    commitment,
    consistencyProof,
    encodeLeaf,
    inclusionProof,
    leafHash,
    noteSigner,
    treeRoot,
    vrfProve,
} from './transparency.mjs';

export const kMarker = '  # The rest is generated: node tests/support/examples.mjs --write\n';
export const kExampleTime = Date.UTC(2026, 5, 1, 8, 30, 0);
export const kExampleAudience = 'keys.example.org';

const at = (seconds) => kExampleTime + seconds * 1000;
const random = (label) => seededRandom(`nave prekeys example: ${label}`);
const hash = (label) => sha256(`nave prekeys example: ${label}`);

function makeDevice(suite, address, registrationId) {
    const device = new Device({ suite, address, registrationId, random: random(address) });
    device.newSignedPreKey(1, at(-60));
    if (suite.startsWith('pqxdh')) {
        device.newKemLastResort(900);
    }
    return device;
}

// A transparency log of eight entries; those of `device` are at 5 (registered) and 7 (a new
// identity), the others belong to nobody.
function makeLog(device, nextIdentity) {
    const signer = noteSigner('keys.example.org/prekeys', random('log'));
    const vrfSeed = random('vrf')(32);
    const vrf = vrfProve(vrfSeed, Buffer.from(device.address));
    const opening = (identity, label) => ({
        salt: b64(hash(label).subarray(0, 16)),
        suite: device.suite,
        ...identity.fields(device.address),
        signedPreKeyDigest: null,
    });
    const openings = [opening(device.identity, 'salt 1'), opening(nextIdentity, 'salt 2')];
    const entry = (kind, counter, previous, opened) =>
        encodeLeaf({
            kind,
            counter,
            previous,
            time: at(counter),
            addressIndex: vrf.output.subarray(0, 32),
            commitment: commitment(unb64(opened.salt), device.address, opened),
        });
    const leaves = Array.from({ length: 8 }, (_, i) =>
        encodeLeaf({
            kind: 'register',
            counter: 1,
            previous: 0,
            time: at(i - 100),
            addressIndex: hash(`index ${i}`),
            commitment: hash(`commitment ${i}`),
        }),
    );
    leaves[5] = entry('register', 1, 0, openings[0]);
    leaves[7] = entry('rotate_identity', 2, 6, openings[1]);
    const hashes = leaves.map(leafHash);
    const checkpoint = (size) =>
        signer.sign(`${signer.name}\n${size}\n${b64(treeRoot(hashes.slice(0, size)))}\n`);
    const inclusion = (index, size) =>
        inclusionProof(hashes.slice(0, size), index).map((sibling) => b64(sibling));
    return {
        origin: signer.name,
        vkey: signer.vkey,
        vrfPublicKey: b64(vrf.publicKey),
        checkpoint: checkpoint(8),
        // As in a bundle fetched before the identity changed.
        bundleProof: {
            leafIndex: 5,
            treeSize: 7,
            leaf: b64(leaves[5]),
            salt: openings[0].salt,
            vrfProof: b64(vrf.proof),
            signedPreKeyDigest: null,
            inclusion: inclusion(5, 7),
            checkpoint: checkpoint(7),
        },
        history: {
            address: device.address,
            vrfProof: b64(vrf.proof),
            leaves: [5, 7].map((index, i) => ({
                leafIndex: index,
                leaf: b64(leaves[index]),
                inclusion: inclusion(index, 8),
                opening: openings[i],
            })),
            since: 7,
            consistency: consistencyProof(hashes, 7).map((node) => b64(node)),
            checkpoint: checkpoint(8),
        },
    };
}

const errorOf = (code, message, more = {}) => ({
    error: { code, message, requestId: '01J9Z6Q0V6T4Y8N2C5B7D3F1GH', ...more },
});

function outcome(device, oneTime, kem, results = {}, kemResults = {}) {
    const lists = { accepted: [], duplicate: [], consumed: [], conflict: [] };
    return {
        address: device.address,
        identityFingerprint: sha256(device.identity.keyBytes, device.identity.dhBytes)
            .subarray(0, 16)
            .toString('hex'),
        oneTimePreKeyCount: oneTime,
        kemOneTimePreKeyCount: kem,
        lowThreshold: 20,
        refillTo: 100,
        results: { ...lists, ...results },
        kemResults: { ...lists, ...kemResults },
        restoreEpoch: 0,
    };
}

function bundle(device, { oneTime = null, kem = null, status, kt = null }) {
    const { identityDhKeySignature, ...identity } = device.identity.fields(device.address);
    return {
        address: device.address,
        suite: device.suite,
        registrationId: device.registrationId,
        ...identity,
        ...(identityDhKeySignature ? { identityDhKeySignature } : {}),
        signedPreKey: device.signedPreKey,
        oneTimePreKey: oneTime,
        kemPreKey: kem,
        oneTimeStatus: status,
        issuedAt: at(120),
        kt,
    };
}

export function makeExamples() {
    const examples = {};
    const add = (name, summary, value) => {
        examples[name] = { summary, value: JSON.parse(JSON.stringify(value)) };
    };
    const alice = makeDevice('x3dh-ed25519', 'alice:1', 4242);
    const bob = makeDevice('pqxdh-ed25519', 'bob:1', 8001);
    const carol = makeDevice('pqxdh-xeddsa', 'carol:1', 1517);
    const dave = makeDevice('x3dh-xeddsa', 'dave:2', 99);

    const log = makeLog(alice, new Device({ random: random('alice, later') }).identity);
    const kt = log.bundleProof;
    const aliceBody = alice.registration({ oneTime: 2 });
    const bobBody = bob.registration({ oneTime: 1, kemOneTime: 1 });
    const carolBody = carol.registration({ oneTime: 1 });
    const seal = (device, body, seconds = 0) => device.seal(body, { signedAt: at(seconds) });
    add('RegisterX3dh', 'x3dh-ed25519, signed by scheme A', seal(alice, aliceBody));
    add('RegisterPqxdh', 'pqxdh-ed25519, signed by scheme A', seal(bob, bobBody));
    add(
        'RegisterLibsignal',
        'pqxdh-xeddsa (libsignal), signed by scheme A',
        seal(carol, carolBody),
    );
    add(
        'RegisterOlderSignal',
        'x3dh-xeddsa, signed by scheme A',
        seal(dave, dave.registration({ oneTime: 1 })),
    );
    add('Registered', 'A new address', outcome(alice, 2, 0, { accepted: [100, 101] }));
    add(
        'RegisteredAgain',
        'The same identity again, with one key the server already had and one it had handed out',
        outcome(alice, 20, 0, { accepted: [120], duplicate: [119], consumed: [100] }),
    );

    const replenishment = { address: 'alice:1', oneTimePreKeys: alice.newOneTimePreKeys(2, 200) };
    add('Replenish', 'Elliptic-curve keys', seal(alice, replenishment, 600));
    const kemReplenishment = { address: 'bob:1', kemOneTimePreKeys: bob.newKemPreKeys(1) };
    add('ReplenishKem', 'KEM keys', seal(bob, kemReplenishment, 600));
    const { address, identityFingerprint, restoreEpoch, ...replenished } = outcome(alice, 21, 0, {
        accepted: [200],
        conflict: [201],
    });
    add(
        'Replenished',
        'One key stored, one refused because its id stands for other bytes',
        replenished,
    );

    const aliceOneTime = aliceBody.oneTimePreKeys[0];
    const bobOneTime = bobBody.oneTimePreKeys[0];
    const bobKem = { ...bobBody.kemOneTimePreKeys[0], lastResort: false };
    const bobLast = { ...bob.kemLastResortPreKey, lastResort: true };
    const carolLast = { ...carol.kemLastResortPreKey, lastResort: true };
    add(
        'BundleX3dh',
        'x3dh-ed25519 with a one-time key',
        bundle(alice, { oneTime: aliceOneTime, status: 'issued', kt }),
    );
    add(
        'BundleExhausted',
        'The stock is empty: still a usable bundle',
        bundle(alice, { status: 'exhausted', kt }),
    );
    add(
        'BundlePqxdh',
        'pqxdh-ed25519 with both one-time keys',
        bundle(bob, { oneTime: bobOneTime, kem: bobKem, status: 'issued' }),
    );
    add(
        'BundleWithheld',
        'Over budget: the last-resort KEM key and no one-time key',
        bundle(bob, { kem: bobLast, status: 'withheld' }),
    );
    add(
        'BundleLibsignal',
        'pqxdh-xeddsa, KEM last resort',
        bundle(carol, {
            oneTime: carolBody.oneTimePreKeys[0],
            kem: carolLast,
            status: 'issued',
        }),
    );

    const claimIds = ['claim 1', 'claim 2'].map((label) => b64(hash(label).subarray(0, 16)));
    add('Claim', 'Two targets', {
        claims: [
            { address: 'alice:1', claimId: claimIds[0] },
            { address: 'nobody:7', claimId: claimIds[1] },
        ],
    });
    add('Claimed', 'One bundle, one unknown address', {
        results: [
            {
                address: 'alice:1',
                claimId: claimIds[0],
                status: 200,
                bundle: bundle(alice, { oneTime: aliceOneTime, status: 'issued' }),
            },
            {
                address: 'nobody:7',
                claimId: claimIds[1],
                status: 404,
                error: { code: 'SHADE_NOT_FOUND', message: 'Nothing is here.' },
            },
        ],
    });

    const { oneTimePreKey, kemPreKey, oneTimeStatus, issuedAt, ...aliceIdentity } = bundle(alice, {
        kt,
    });
    add('Identity', 'What a safety-number screen needs', aliceIdentity);
    add('Check', 'The digest of what the client believes is stored', {
        address: 'bob:1',
        digest: bob.digest(),
    });
    add('Match', 'The server stores exactly that', { match: true });

    add('Count', 'Stock of an address', {
        oneTimePreKeyCount: 18,
        kemOneTimePreKeyCount: 0,
        lowThreshold: 20,
        refillTo: 100,
        signedPreKeyId: 1,
        signedPreKeyAgeMs: 518400000,
        lastResortUsed: false,
        restoreEpoch: 0,
    });

    const rotationBody = { address: 'bob:1' };
    rotationBody.signedPreKey = bob.newSignedPreKey(2, at(3600));
    rotationBody.kemLastResortPreKey = bob.newKemLastResort(901);
    add('RotateSignedPreKey', 'A new signed prekey and last resort', seal(bob, rotationBody, 3600));
    add('RotatedSignedPreKey', 'Both stored', {
        signedPreKeyId: 2,
        kemLastResortPreKeyId: 901,
    });

    add('Delete', 'Scheme A', seal(alice, { address: 'alice:1' }, 7200));

    const turned = makeRotation(dave);
    add('RotateIdentity', 'x3dh-xeddsa: the body is signed by the old key', turned.sealed);
    add('RotatedIdentity', 'The new keys are stored, the old stock is gone', turned.result);

    addErrors(add);
    addService(add, log);
    return examples;
}

function makeRotation(device) {
    const next = new Device({
        suite: device.suite,
        address: device.address,
        registrationId: device.registrationId,
        random: random('second identity'),
    });
    const signedAt = at(5400);
    next.newSignedPreKey(2, signedAt);
    const { body } = device.rotation({ signedAt, next, oneTime: 1 });
    return {
        sealed: device.seal(body, { signedAt }),
        result: outcome(next, 1, 0, { accepted: [body.oneTimePreKeys[0].keyId] }),
    };
}

function addErrors(add) {
    const error = (name, summary, ...rest) => add(name, summary, errorOf(...rest));
    error(
        'Validation',
        'A member is wrong',
        'SHADE_VALIDATION',
        'registrationId must be between 1 and 16380',
        { details: { field: 'registrationId' } },
    );
    error(
        'BadAddress',
        'The address is not acceptable',
        'SHADE_BAD_ADDRESS',
        'An address is 1 to 128 letters, digits or : _ - . after NFKC normalisation.',
    );
    error('Unauthorized', 'No signature', 'SHADE_UNAUTHORIZED', 'This request must be signed.');
    error(
        'TimestampSkew',
        'The clock of the client is wrong',
        'SHADE_TIMESTAMP_SKEW',
        "The signature's time is too far from the server's.",
        { details: { serverTime: kExampleTime } },
    );
    error(
        'BadRequestSignature',
        'Signed by another key, or other bytes were signed',
        'SHADE_BAD_REQUEST_SIGNATURE',
        'The request signature does not verify.',
    );
    error('Forbidden', 'Not this signer', 'SHADE_FORBIDDEN', 'The signer may not do this.');
    error('NotFound', 'Unknown address', 'SHADE_NOT_FOUND', 'Nothing is here.');
    error(
        'IdentityConflict',
        'The address belongs to another identity',
        'SHADE_IDENTITY_CONFLICT',
        'The address belongs to another identity.',
    );
    error(
        'Replay',
        'The same signed request again',
        'SHADE_REPLAY',
        'This signed request was already used.',
    );
    error(
        'StaleWrite',
        'Older than what is stored',
        'SHADE_STALE_WRITE',
        'A newer signed state is already stored.',
    );
    error(
        'DigestMismatch',
        'The server stores something else',
        'SHADE_DIGEST_MISMATCH',
        "The stored keys differ from the client's.",
    );
    error(
        'Tombstoned',
        'The address is in quarantine',
        'SHADE_TOMBSTONED',
        'The address is in quarantine after its identity was removed.',
    );
    error(
        'BodyTooLarge',
        'More bytes than the route accepts',
        'SHADE_BODY_TOO_LARGE',
        'The body is larger than this route accepts.',
    );
    error(
        'InvalidSignature',
        'Two prekeys fail; nothing was stored',
        'SHADE_INVALID_SIGNATURE',
        'A prekey signature does not verify.',
        { details: { keyIds: [1, 900] } },
    );
    error(
        'WeakKey',
        'A point of small order',
        'SHADE_WEAK_KEY',
        'A key is of small order or not canonical.',
        { details: { keyIds: [101] } },
    );
    error('BadKemKey', 'Not a KEM key', 'SHADE_BAD_KEM_KEY', 'A KEM key is malformed.', {
        details: { keyIds: [900] },
    });
    error(
        'LimitExceeded',
        'The address would hold too many keys',
        'SHADE_LIMIT_EXCEEDED',
        'More keys or addresses than the server stores.',
    );
    error('RateLimited', 'Too many requests', 'SHADE_RATE_LIMITED', 'Too many requests.', {
        retryAfterMs: 41250,
    });
    error(
        'Storage',
        'The database is down',
        'SHADE_STORAGE',
        'The storage backend cannot be used right now; try again.',
        { retryAfterMs: 1000 },
    );
    error(
        'ShuttingDown',
        'The process is stopping',
        'SHADE_SHUTTING_DOWN',
        'The server is stopping.',
    );
}

function addService(add, log) {
    add('HealthOk', 'Everything works', {
        status: 'ok',
        service: 'prekeys',
        version: '1.0.0',
        uptimeSeconds: 86400,
    });
    const about = { service: 'prekeys', version: '1.0.0', uptimeSeconds: 3 };
    add('HealthStarting', 'Start-up', { status: 'starting', step: 'migrate', ...about });
    add('HealthDegraded', 'The database cannot be reached', {
        ...about,
        status: 'degraded',
        issues: [
            {
                subsystem: 'prekeys.storage',
                since: at(-30),
                message: 'PostgreSQL is unreachable',
            },
        ],
    });
    add('HealthStopping', 'Shutting down', { ...about, status: 'stopping' });
    add('KtKeys', 'Public keys of the log', {
        origin: log.origin,
        vkey: log.vkey,
        vrfPublicKey: log.vrfPublicKey,
    });
    add('KtProof', 'An address that changed its identity once', log.history);
    add('KtCheckpoint', 'A signed note over eight leaves', log.checkpoint);
    const addressHash = hash('address').subarray(0, 8).toString('hex');
    const ipHash = hash('client').subarray(0, 8).toString('hex');
    add('Ticket', 'A single-use ticket', {
        ticket: b64url(hash('ticket')),
        expiresInMs: 30000,
    });
    add('ObserverState', 'A small server', {
        service: 'prekeys',
        version: '1.0.0',
        commit: '3f2a9c1',
        bootId: hash('boot').subarray(0, 8).toString('hex'),
        startedAt: at(-86400),
        now: at(0),
        storage: { kind: 'sqlite', healthy: true, trouble: null },
        totals: {
            identities: 2,
            identitiesBySuite: {
                'x3dh-ed25519': 1,
                'pqxdh-ed25519': 1,
                'pqxdh-xeddsa': 0,
                'x3dh-xeddsa': 0,
            },
            oneTimePreKeys: 118,
            kemOneTimePreKeys: 64,
            belowLowThreshold: 1,
            exhausted: 0,
            lowThreshold: 20,
        },
        counters: {
            registered: 2,
            fetched: 41,
            issued: 40,
            exhausted: 0,
            withheld: 1,
            replenished: 3,
            rotated: 1,
            deleted: 0,
            rateLimited: { register: 0, fetch: 2, target: 1, pair: 0, replenish: 0 },
            replaysRejected: 0,
            authFailures: 1,
            identityConflicts: 0,
            depletionSuspected: 0,
            purged: 0,
        },
        lowStock: [
            {
                addressHash,
                suite: 'x3dh-ed25519',
                oneTimePreKeys: 18,
                kemOneTimePreKeys: 0,
                lastFetchAt: at(-20),
                lastOwnerActivityAt: at(-4000),
            },
        ],
        cleanup: {
            staleDays: 30,
            intervalHours: 24,
            lastRunAt: at(-3600),
            lastPurged: 0,
            dryRun: false,
        },
        keyTransparency: { treeSize: 8, checkpointAt: at(-5), trouble: null },
        history: {
            stepMs: 5000,
            end: at(0),
            fetches: [0, 3, 1],
            issued: [0, 3, 1],
            exhausted: [0, 0, 0],
            withheld: [0, 0, 0],
            registrations: [1, 0, 0],
            rateLimited: [0, 0, 0],
            oneTimePreKeys: [-1, 119, 118],
            kemOneTimePreKeys: [-1, 65, 64],
        },
        observerClients: 1,
        lastEventId: 47,
    });
    add(
        'ObserverEvents',
        'Two events and a heartbeat',
        [
            'id: 46',
            'event: fetched',
            `data: {"ts":${at(-20)},"type":"fetched","addressHash":"${addressHash}",` +
                '"suite":"x3dh-ed25519","oneTime":"issued","kem":"none","remaining":19,' +
                `"kemRemaining":0,"ipPrefixHash":"${ipHash}"}`,
            '',
            ': heartbeat',
            '',
            'id: 47',
            'event: prekeys_low',
            `data: {"ts":${at(-20)},"type":"prekeys_low","addressHash":"${addressHash}",` +
                '"suite":"x3dh-ed25519","oneTime":"issued","kem":"none","remaining":19,' +
                `"kemRemaining":0,"ipPrefixHash":"${ipHash}"}`,
            '',
            '',
        ].join('\n'),
    );
    add(
        'OwnerEvents',
        'The owner learns that the stock is low',
        [
            'id: 3',
            'event: prekeys.low',
            `data: {"ts":${at(-20)},"oneTimePreKeyCount":19,"kemOneTimePreKeyCount":0}`,
            '',
            '',
        ].join('\n'),
    );
    add(
        'Metrics',
        'A few of the metrics',
        [
            '# HELP shade_requests_total Requests by route template and status.',
            '# TYPE shade_requests_total counter',
            'shade_requests_total{route="/v1/keys/bundle/{address}",status="200"} 41',
            '# HELP shade_one_time_prekeys One-time prekeys in stock.',
            '# TYPE shade_one_time_prekeys gauge',
            'shade_one_time_prekeys{kind="ec"} 118',
            'shade_one_time_prekeys{kind="kem"} 64',
            '',
        ].join('\n'),
    );
}

// The worked example of scheme B in the description's prose.
export function workedExample() {
    const seed = Buffer.alloc(32);
    for (let i = 0; i < 32; i += 1) {
        seed[i] = i;
    }
    const pair = ed25519KeyPair(() => seed);
    const nonce = b64url(Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex'));
    const text = requestText({
        method: 'GET',
        target: '/v1/keys/count/alice:1',
        audience: kExampleAudience,
        address: 'alice:1',
        timestamp: kExampleTime,
        nonce,
    });
    const bodyText = `{"address":"alice:1","signedAt":${kExampleTime}}`;
    return {
        seed: seed.toString('hex'),
        publicKey: b64(pair.publicKey),
        text,
        nonce,
        signature: b64(pair.sign(Buffer.from(text))),
        bodyText,
        bodySignature: b64(pair.sign(Buffer.from(bodyText))),
        timestamp: kExampleTime,
    };
}

// The generated tail of the description file.
export function examplesYaml() {
    const text = YAML.stringify(
        { examples: makeExamples() },
        { lineWidth: 0, aliasDuplicateObjects: false },
    );
    return text
        .split('\n')
        .map((line) => (line ? `  ${line}` : line))
        .join('\n');
}

export function writeExamples(file = kDescriptionFile) {
    const text = fs.readFileSync(file, 'utf8');
    const end = text.indexOf(kMarker);
    if (end < 0) {
        throw new Error('the description has lost its marker line');
    }
    fs.writeFileSync(file, text.slice(0, end) + kMarker + examplesYaml());
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
    if (process.argv[2] === '--write') {
        writeExamples();
    } else {
        console.log(workedExample());
    }
}
