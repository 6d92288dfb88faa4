// Refused sends: an error with the id for older clients, then an ack with queued false for newer
// ones; nothing is stored, nothing is pushed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peerKeys } from '../../support/broker_peer.mjs';
import { onEachBroker, sample, Scene, settled, texts } from '../../support/broker_scene.mjs';
import { until } from '../../support/server.mjs';

const rejected = (context, reason) =>
    sample(context, `broker_messages_rejected_total{reason="${reason}"}`);

// Sends what must be refused with `code`: the two answers, in this order, next to each other.
async function expectRefused(context, peer, message, code, reason) {
    const before = await rejected(context, reason);
    const id = `refused ${(peer.counter += 1)}`;
    const request = { type: 'send', nonce: 'n', ciphertext: 'refused', targetSpec: '*', id };
    const { messages } = peer;
    const seen = messages.length;
    peer.send({ ...request, ...message, _reqId: id });
    await settled(peer);
    const [error, ack, ...rest] = messages.slice(seen).filter((m) => m._reqId === id);
    assert.deepEqual(rest, []);
    assert.deepEqual(error, {
        type: 'error',
        _reqId: id,
        code,
        message: error.message,
        id,
    });
    assert.deepEqual(ack, {
        type: 'ack',
        _reqId: id,
        id,
        messageId: '',
        queued: false,
        error: ack.error,
    });
    assert.ok(error.message.length > 0 && ack.error.length > 0);
    assert.equal(await rejected(context, reason), before + 1, reason);
    return ack;
}

onEachBroker('refused sends', (context) => {
    const malformed = {
        'no target': { targetSpec: undefined },
        'an empty target': { targetSpec: '' },
        'a target that is no string': { targetSpec: 5 },
        'a list as target': { targetSpec: ['*'] },
        'a name as target': { targetSpec: 'ada' },
        'a key of 63 characters': { targetSpec: 'a'.repeat(63) },
        'a key in upper case': { targetSpec: 'A'.repeat(64) },
        'a tag': { targetSpec: 'tag:x' },
        'a long target': { targetSpec: `@${'x'.repeat(300)}` },
        'two stars': { targetSpec: '**' },
        'an unknown priority': { priority: 'urgent' },
        'a priority that is no string': { priority: 1 },
        'a nonce that is no string': { nonce: { $ne: '' } },
        'a ciphertext that is no string': { ciphertext: ['x'] },
        'NUL in the ciphertext': { ciphertext: 'a\u0000b' },
        'a client_message_id that is no string': { client_message_id: 7 },
        'a long client_message_id': { client_message_id: 'x'.repeat(257) },
    };
    for (const [what, change] of Object.entries(malformed)) {
        test(`malformed: ${what}`, async () => {
            const scene = await Scene.make(context, 'ada', 'bob');
            const bob = await scene.peer(scene.bob);
            const ada = await scene.peer(scene.ada);
            await expectRefused(context, bob, change, 'invalid_argument', 'parse_or_handler');
            await bob.envelope('*', 'good');
            await ada.push('good');
            assert.deepEqual(texts(ada), ['good']);
        });
    }

    test('a topic, for there are none', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        await expectRefused(context, ada, { targetSpec: '#x' }, 'not_found', 'parse_or_handler');
    });

    test('a refused client_message_id is not used up', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const bob = await scene.peer(scene.bob);
        const change = { client_message_id: 'one', priority: 'urgent' };
        await expectRefused(context, bob, change, 'invalid_argument', 'parse_or_handler');
        const ada = await scene.peer(scene.ada);
        const ack = await bob.envelope(ada.key, 'now right', { client_message_id: 'one' });
        assert.equal(ack.queued, true);
        await ada.push('now right');
    });

    test('just as large as allowed', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        const ciphertext = 'x'.repeat(65_536 - 400);
        assert.equal((await ada.envelope(ada.key, ciphertext)).queued, true);
        await ada.push(ciphertext);
    });
});

onEachBroker(
    'the send limit',
    (context) => {
        test('counts per member, over all its sockets', async () => {
            const scene = await Scene.make(context, 'ada', 'bob');
            const one = await scene.peer(scene.bob, { session: peerKeys() });
            const two = await scene.peer(scene.bob, { session: peerKeys() });
            const ada = await scene.peer(scene.ada);
            for (const peer of [one, two, one, two]) {
                assert.equal((await peer.envelope(scene.ada.keys.hex, 'good')).type, 'ack');
            }
            for (const peer of [one, two]) {
                const ack = await expectRefused(context, peer, {}, 'rate_limit', 'rate_limit');
                assert.match(ack.error, /^rate_limit/);
            }
            // Another member has its own.
            assert.equal((await ada.envelope(one.key, 'from ada')).type, 'ack');
            await one.push('from ada');
            await until(() => texts(ada).length >= 4, { what: 'four envelopes' });
            assert.deepEqual(texts(ada), ['good', 'good', 'good', 'good']);
        });

        test('whoever leaves and comes back has no more than before', async () => {
            const scene = await Scene.make(context, 'ada');
            for (let i = 0; i < 4; i += 1) {
                const peer = await scene.peer(scene.ada);
                assert.equal((await peer.envelope('*', 'good')).type, 'ack');
                await peer.close();
            }
            const peer = await scene.peer(scene.ada);
            await expectRefused(context, peer, {}, 'rate_limit', 'rate_limit');
        });

        test('what is malformed does not count', async () => {
            const scene = await Scene.make(context, 'ada');
            const ada = await scene.peer(scene.ada);
            for (let i = 0; i < 10; i += 1) {
                const { code } = await ada.envelope('nonsense', 'x');
                assert.equal(code, 'invalid_argument');
            }
            for (let i = 0; i < 4; i += 1) {
                assert.equal((await ada.envelope('*', 'good')).type, 'ack');
            }
        });
    },
    { env: { BROKER_SEND_LIMIT: '1/min:4' } },
);
