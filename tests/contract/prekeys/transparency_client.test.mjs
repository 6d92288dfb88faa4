// The transparency verifier of the tests, without a server: RFC 9381 vectors, trees checked against
// their definition, and documents that must be refused.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { b64, seededRandom, sha256 } from '../../support/client.mjs';
import { makeExamples } from '../../support/examples.mjs';
import {
    commitment,
    consistencyProof,
    decodeLeaf,
    encodeLeaf,
    inclusionProof,
    leafHash,
    noteSigner,
    openCheckpoint,
    parseEntries,
    tilePath,
    treeRoot,
    verifyBundleProof,
    verifyConsistency,
    verifyHistory,
    verifyInclusion,
    vrfProve,
    vrfVerify,
} from '../../support/transparency.mjs';

describe('VRF', () => {
    // RFC 9381 appendix B.3, example 16.
    const seed = Buffer.from(
        '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
        'hex',
    );

    test('agrees with RFC 9381', () => {
        const { proof, output, publicKey } = vrfProve(seed, Buffer.alloc(0));
        assert.equal(
            publicKey.toString('hex'),
            'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
        );
        assert.equal(
            proof.toString('hex'),
            '8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f' +
                '26f8a57ccaed74ee1b190bed1f479d97' +
                '27d2d0f9b005a6e456a35d4fb0daab1268a1b0db10836d9826a528ca76567805',
        );
        assert.equal(
            output.toString('hex'),
            '90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff' +
                '66b71dda49d2de59d03450451af026798e8f81cd2e333de5cdf4f3e140fdd8ae',
        );
    });

    test('verifies what it proves and nothing else', () => {
        const alpha = Buffer.from('alice:1');
        const { proof, output, publicKey } = vrfProve(seed, alpha);
        assert.deepEqual(vrfVerify(publicKey, alpha, proof), output);
        assert.equal(vrfVerify(publicKey, Buffer.from('alice:2'), proof), null);
        for (const at of [0, 31, 32, 47, 48, 79]) {
            const broken = Buffer.from(proof);
            broken[at] ^= 1;
            assert.equal(vrfVerify(publicKey, alpha, broken), null, `byte ${at}`);
        }
    });
});

describe('trees', () => {
    const hashes = Array.from({ length: 21 }, (_, i) => leafHash(Buffer.from([i])));

    test('every inclusion proof of every size verifies, and no other leaf does', () => {
        for (let size = 1; size <= hashes.length; size += 1) {
            const tree = hashes.slice(0, size);
            const root = treeRoot(tree);
            for (let index = 0; index < size; index += 1) {
                const proof = inclusionProof(tree, index);
                assert.ok(verifyInclusion(tree[index], index, size, proof, root));
                const other = tree[(index + 1) % size];
                assert.ok(size === 1 || !verifyInclusion(other, index, size, proof, root));
                assert.ok(!verifyInclusion(tree[index], index, size, [...proof, root], root));
            }
        }
    });

    test('every consistency proof verifies, and none for a rewritten tree', () => {
        for (let size = 1; size <= hashes.length; size += 1) {
            const tree = hashes.slice(0, size);
            const root = treeRoot(tree);
            for (let old = 1; old <= size; old += 1) {
                const proof = consistencyProof(tree, old);
                assert.ok(verifyConsistency(old, treeRoot(tree.slice(0, old)), size, root, proof));
                const rewritten = [sha256('other'), ...tree.slice(1, old)];
                assert.ok(!verifyConsistency(old, treeRoot(rewritten), size, root, proof));
            }
        }
    });
});

describe('documents', () => {
    const examples = makeExamples();
    const keys = examples.KtKeys.value;
    const bundle = examples.BundleX3dh.value;
    const history = examples.KtProof.value;

    test('entries survive encoding', () => {
        const leaf = {
            kind: 'purge',
            counter: 7,
            previous: 1_000_000_007,
            time: 1_780_302_600_000,
            addressIndex: sha256('a'),
            commitment: sha256('b'),
        };
        assert.deepEqual(decodeLeaf(encodeLeaf(leaf)), leaf);
        assert.equal(encodeLeaf(leaf).length, 90);
    });

    test('the example bundle and history verify', () => {
        const event = verifyBundleProof(bundle, keys);
        assert.equal(event.kind, 'register');
        const { events } = verifyHistory(history, 'alice:1', keys);
        assert.deepEqual(
            events.map(({ kind }) => kind),
            ['register', 'rotate_identity'],
        );
        const known = openCheckpoint(bundle.kt.checkpoint, keys.vkey);
        assert.equal(known.size, history.since);
        verifyHistory(history, 'alice:1', keys, known);
        const rewritten = { ...known, root: sha256('another tree') };
        assert.throws(() => verifyHistory(history, 'alice:1', keys, rewritten));
    });

    test('any change is noticed', () => {
        const clone = (value) => JSON.parse(JSON.stringify(value));
        const random = b64(seededRandom('other')(32));
        const changes = {
            'another identity key': (doc) => {
                doc.identitySigningKey = random;
            },
            'another DH key': (doc) => {
                doc.identityDhKey = random;
            },
            'another address': (doc) => {
                doc.address = 'alice:2';
            },
            'another suite': (doc) => {
                doc.suite = 'pqxdh-ed25519';
            },
            'no binding': (doc) => {
                doc.identityDhKeySignature = null;
            },
            'another place': (doc) => {
                doc.kt.leafIndex -= 1;
            },
            'another path': (doc) => {
                doc.kt.inclusion[0] = random;
            },
            'another checkpoint': (doc) => {
                doc.kt.checkpoint = doc.kt.checkpoint.replace('\n7\n', '\n8\n');
            },
        };
        for (const [name, change] of Object.entries(changes)) {
            const changed = clone(bundle);
            change(changed);
            assert.throws(() => verifyBundleProof(changed, keys), undefined, name);
        }
        const shortened = clone(history);
        shortened.leaves.shift();
        assert.throws(() => verifyHistory(shortened, 'alice:1', keys));
    });

    test('a checkpoint of another log is refused', () => {
        const other = noteSigner('other.example/log', seededRandom('other log'));
        assert.throws(() => openCheckpoint(bundle.kt.checkpoint, other.vkey));
    });

    test('commitments depend on every part', () => {
        const identity = { suite: 'x3dh-xeddsa', identityKey: b64(Buffer.alloc(33, 5)) };
        const salt = Buffer.alloc(16, 1);
        const base = commitment(salt, 'a:1', identity);
        assert.ok(!base.equals(commitment(Buffer.alloc(16, 2), 'a:1', identity)));
        assert.ok(!base.equals(commitment(salt, 'a:2', identity)));
        assert.ok(!base.equals(commitment(salt, 'a:1', { ...identity, suite: 'pqxdh-xeddsa' })));
    });
});

test('tile paths follow C2SP tlog-tiles', () => {
    assert.equal(tilePath(0, 0), '0/000');
    assert.equal(tilePath(0, 5, 8), '0/005.p/8');
    assert.equal(tilePath(1, 1234067), '1/x001/x234/067');
    assert.equal(tilePath('entries', 1000), 'entries/x001/000');
});

test('entry bundles are cut at their lengths', () => {
    const bundle = Buffer.from([0, 2, 7, 8, 0, 0, 0, 1, 9]);
    assert.deepEqual(
        parseEntries(bundle).map((entry) => [...entry]),
        [[7, 8], [], [9]],
    );
    assert.throws(() => parseEntries(Buffer.from([0, 3, 1])));
});
