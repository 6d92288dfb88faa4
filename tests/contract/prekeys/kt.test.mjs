// Key transparency: everything the log serves is verified by an independent implementation.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Api, b64, Device, freshAddress, kSuites } from '../../support/client.mjs';
import { makeExamples } from '../../support/examples.mjs';
import { expectError, expectOutcome } from '../../support/expect.mjs';
import { runCommand, Server, temporaryDirectory, until } from '../../support/server.mjs';
import { kUnlimited, onEachStore } from '../../support/stores.mjs';
import {
    decodeLeaf,
    leafHash,
    openCheckpoint,
    parseEntries,
    tilePath,
    treeRoot,
    verifyBundleProof,
    verifyHistory,
} from '../../support/transparency.mjs';

onEachStore('key transparency', (context) => {
    const keysOfLog = async () =>
        expectOutcome(await context.api.request('GET', '/v1/kt/keys'), 200);
    const checkpoint = async () => {
        const response = await context.api.request('GET', '/v1/kt/checkpoint');
        assert.equal(response.status, 200);
        return openCheckpoint(response.text, (await keysOfLog()).vkey);
    };
    const proofOf = async (address, since = undefined) =>
        expectOutcome(
            await context.api.request(
                'GET',
                `/v1/kt/proof/${address}${since === undefined ? '' : `?since=${since}`}`,
            ),
            200,
        );
    // A bundle or identity with its proof.
    const withProof = async (kind, address) =>
        expectOutcome(await context.api.request('GET', `/v1/keys/${kind}/${address}?kt=1`), 200);
    const registered = async (options = {}) => {
        const device = new Device(options);
        expectOutcome(await context.api.register(device, { oneTime: 3 }), 201);
        return device;
    };
    const tile = async (level, index, width) => {
        const response = await context.api.request(
            'GET',
            `/v1/kt/tile/${tilePath(level, index, width)}`,
        );
        assert.equal(response.status, 200, tilePath(level, index, width));
        return response.bytes;
    };

    for (const suite of kSuites) {
        test(`${suite}: a bundle proves its identity`, async () => {
            const device = await registered({ suite });
            const keys = await keysOfLog();
            const bundle = await withProof('bundle', device.address);
            const event = verifyBundleProof(bundle, keys);
            assert.equal(event.kind, 'register');
            verifyBundleProof(await withProof('identity', device.address), keys);
            const claimId = Buffer.alloc(16, 3).toString('base64');
            const claims = [{ address: device.address, claimId }];
            for (let i = 0; i < 2; i += 1) {
                const { results } = expectOutcome(
                    await context.api.request('POST', '/v1/keys/claim', {
                        json: { claims, kt: true },
                    }),
                    200,
                );
                verifyBundleProof(results[0].bundle, keys);
            }
            const plain = expectOutcome(await context.api.bundle(device.address), 200);
            assert.equal(plain.kt, null, 'proofs cost time: only for those who ask');
            // The proof is about these keys and no others.
            const other = { ...bundle, ...new Device({ suite }).identity.fields(device.address) };
            assert.throws(() => verifyBundleProof(other, keys));
        });
    }

    test('the keys of the log stay over a restart, and the tree only grows', async () => {
        const device = await registered();
        const keys = await keysOfLog();
        const before = await checkpoint();
        await context.backend.restart();
        assert.deepEqual(await keysOfLog(), keys);
        const after = await checkpoint();
        assert.ok(after.size >= before.size);
        verifyHistory(await proofOf(device.address, before.size), device.address, keys, before);
    });

    test('the whole life of an address is one chain', async () => {
        const keys = await keysOfLog();
        const first = await registered();
        const rotation = first.rotation();
        expectOutcome(
            await context.api.write(first, 'POST', '/v1/keys/rotate-identity', rotation.body, {
                signedAt: rotation.signedAt,
            }),
            200,
        );
        const second = rotation.next;
        const middle = verifyHistory(await proofOf(first.address), first.address, keys);
        assert.deepEqual(
            middle.events.map(({ kind }) => kind),
            ['register', 'rotate_identity'],
        );
        assert.equal(
            middle.events[1].identity.identitySigningKey,
            second.identity.fields(first.address).identitySigningKey,
        );
        expectOutcome(await context.api.delete(second), 204);
        expectOutcome(await context.api.register(second), 201);
        const document = await proofOf(first.address, middle.checkpoint.size);
        const whole = verifyHistory(document, first.address, keys, middle.checkpoint);
        assert.deepEqual(
            whole.events.map(({ kind }) => kind),
            ['register', 'rotate_identity', 'delete', 'register'],
        );
        verifyBundleProof(await withProof('bundle', first.address), keys);
    });

    test('updating the same identity adds no event', async () => {
        const keys = await keysOfLog();
        const device = await registered();
        device.newSignedPreKey();
        expectOutcome(await context.api.register(device, { oneTime: 1 }), 200);
        const { events } = verifyHistory(await proofOf(device.address), device.address, keys);
        assert.deepEqual(
            events.map(({ kind }) => kind),
            ['register'],
        );
    });

    test('the tree can be rebuilt from its entries and from its hashes', async () => {
        for (let i = 0; i < 5; i += 1) {
            await registered();
        }
        const { size, root } = await checkpoint();
        assert.ok(size >= 5);
        const entries = [];
        const hashes = [];
        for (let index = 0; index * 256 < size; index += 1) {
            const width = Math.min(256, size - index * 256);
            entries.push(...parseEntries(await tile('entries', index, width)));
            const bytes = await tile(0, index, width);
            assert.equal(bytes.length, width * 32);
            for (let i = 0; i < width; i += 1) {
                hashes.push(bytes.subarray(32 * i, 32 * i + 32));
            }
        }
        assert.equal(entries.length, size);
        entries.forEach((entry, i) => {
            assert.deepEqual(leafHash(entry), hashes[i], `entry ${i}`);
            decodeLeaf(entry);
        });
        assert.deepEqual(treeRoot(hashes), root);
    });

    test('proofs from every earlier size are consistent', async () => {
        const keys = await keysOfLog();
        const device = await registered();
        const sizes = [];
        for (let i = 0; i < 6; i += 1) {
            sizes.push(await checkpoint());
            await registered();
        }
        for (const known of sizes) {
            const document = await proofOf(device.address, known.size);
            verifyHistory(document, device.address, keys, known);
        }
    });

    test('what is not there', async () => {
        expectError(
            await context.api.request('GET', `/v1/kt/proof/${freshAddress()}`),
            404,
            'SHADE_NOT_FOUND',
        );
        for (const path of ['0/999', '63/000', '0/000.p/0', '0/000.p/257', '0/x000', 'a/000']) {
            const response = await context.api.request('GET', `/v1/kt/tile/${path}`);
            assert.ok([400, 404].includes(response.status), path);
        }
        for (const since of ['-1', 'x', '99999999', '1.5']) {
            const device = await registered();
            const response = await context.api.request(
                'GET',
                `/v1/kt/proof/${device.address}?since=${since}`,
            );
            assert.equal(response.status, 400, `since=${since}: ${response.text}`);
        }
    });

    test('a purged or deleted identity is erased from the proofs, not from the tree', async () => {
        const keys = await keysOfLog();
        const device = await registered();
        expectOutcome(await context.api.delete(device), 204);
        const response = await context.api.request('GET', `/v1/kt/proof/${device.address}`);
        if (response.status === 404) {
            return;
        }
        const document = expectOutcome(response, 200);
        const { events } = verifyHistory(document, device.address, keys);
        assert.deepEqual(
            events.map(({ kind }) => kind),
            ['register', 'delete'],
        );
        assert.ok(events.every(({ identity }) => identity === null));
    });

    test('parallel registrations leave one chain each and one tree', async () => {
        const keys = await keysOfLog();
        const devices = await Promise.all(Array.from({ length: 16 }, () => registered()));
        const { size } = await checkpoint();
        const places = new Set();
        for (const device of devices) {
            const { events } = verifyHistory(await proofOf(device.address), device.address, keys);
            assert.equal(events.length, 1);
            places.add(events[0].leafIndex);
        }
        assert.equal(places.size, 16);
        assert.ok([...places].every((index) => index < size));
    });

    test('raced deletes leave one entry', async () => {
        const device = await registered();
        await Promise.all(Array.from({ length: 4 }, () => context.api.delete(device)));
        expectOutcome(await context.api.register(device), 201);
        const keys = await keysOfLog();
        const { events } = verifyHistory(await proofOf(device.address), device.address, keys);
        assert.deepEqual(
            events.map(({ kind }) => kind),
            ['register', 'delete', 'register'],
        );
    });

    test('checkpoints asked for at once agree', async () => {
        const keys = await keysOfLog();
        const notes = [];
        const writers = Array.from({ length: 10 }, () => registered());
        const readers = Array.from({ length: 30 }, async () => {
            const response = await context.api.request('GET', '/v1/kt/checkpoint');
            assert.equal(response.status, 200);
            notes.push(openCheckpoint(response.text, keys.vkey));
        });
        await Promise.all([...writers, ...readers]);
        const bySize = new Map();
        for (const { size, root } of notes) {
            const known = bySize.get(size) ?? root;
            assert.deepEqual(root, known, `two trees of size ${size}`);
            bySize.set(size, known);
        }
    });

    test('tree size and checkpoint age are metrics', async () => {
        const { size } = await checkpoint();
        const metrics = await context.api.metrics();
        assert.ok(metrics.get('shade_kt_tree_size') >= size);
        assert.ok(metrics.get('shade_kt_checkpoint_age_seconds') >= 0);
    });
});

// The binary's own verifier on documents made by the independent implementation.
describe('kt verify', () => {
    const examples = makeExamples();
    const keys = examples.KtKeys.value;
    const directory = temporaryDirectory('nave-kt');
    const write = (name, text) => {
        const file = path.join(directory, name);
        fs.writeFileSync(file, text);
        return file;
    };
    const verify = (document, ...more) =>
        runCommand([
            ...['prekeys', 'kt', 'verify', write('proof.json', JSON.stringify(document))],
            ...['--key', keys.vkey, '--vrf-key', keys.vrfPublicKey, ...more],
        ]);
    const proof = () => JSON.parse(JSON.stringify(examples.KtProof.value));

    test('accepts what is right', async () => {
        const known = write('known', examples.BundleX3dh.value.kt.checkpoint);
        for (const more of [[], ['--address', 'alice:1'], ['--known', known]]) {
            const { code, stdout, stderr } = await verify(proof(), ...more);
            assert.equal(code, 0, stderr);
            assert.match(stdout, /2 entries/);
        }
    });

    test('refuses what is not', async () => {
        const changes = [
            (document) => document.leaves.pop() && document.leaves.push(document.leaves[0]),
            (document) => document.leaves.shift(),
            (document) => (document.address = 'alice:2'),
            (document) => (document.leaves[1].opening.suite = 'pqxdh-ed25519'),
            (document) => (document.leaves[1].inclusion[0] = document.leaves[0].inclusion[0]),
            (document) => (document.checkpoint = document.checkpoint.replace('\n8\n', '\n9\n')),
            (document) => (document.vrfProof = document.vrfProof.replace(/^..../, 'AAAA')),
        ];
        for (const [i, change] of changes.entries()) {
            const document = proof();
            change(document);
            const { code, stderr } = await verify(document);
            assert.notEqual(code, 0, `change ${i} was not noticed`);
            assert.match(stderr, /NOT verify/);
        }
        assert.notEqual((await verify(proof(), '--address', 'bob:1')).code, 0);
        fs.rmSync(directory, { recursive: true });
    });
});

// The disk is gone for the checkpoint alone: what cannot be proved must not cost keys.
describe('a checkpoint that cannot be kept', () => {
    test('costs nobody a one-time key', async () => {
        const folder = path.join(temporaryDirectory('nave-kt'), 'kept');
        fs.mkdirSync(folder);
        const file = path.join(folder, 'checkpoint');
        const server = await Server.start({
            env: { ...kUnlimited, SHADE_KT_CHECKPOINT_FILE: file },
        });
        const api = new Api(server.url);
        const stock = async (device) =>
            expectOutcome(await api.count(device), 200).oneTimePreKeyCount;
        const device = new Device();
        await until(() => fs.existsSync(file), { what: 'the empty tree is signed' });
        fs.rmSync(folder, { recursive: true });
        fs.writeFileSync(folder, 'not a directory');
        expectOutcome(await api.register(device, { oneTime: 5 }), 201);
        const bundle = `/v1/keys/bundle/${device.address}`;
        expectError(await api.request('GET', `${bundle}?kt=1`), 503, 'SHADE_STORAGE');
        const claims = [{ address: device.address, claimId: b64(Buffer.alloc(16, 1)) }];
        expectError(
            await api.request('POST', '/v1/keys/claim', { json: { claims, kt: true } }),
            503,
            'SHADE_STORAGE',
        );
        assert.equal(await stock(device), 5);
        // Without a proof keys are handed out as ever.
        expectOutcome(await api.request('GET', bundle), 200);
        assert.equal(await stock(device), 4);
        fs.rmSync(folder);
        fs.mkdirSync(folder);
        expectOutcome(await api.request('GET', `${bundle}?kt=1`), 200);
        assert.equal(await stock(device), 3);
        await server.finish();
        fs.rmSync(path.dirname(folder), { recursive: true });
    });
});
