// Envelopes that may wait for a while only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onEachBroker, Scene, texts } from '../../support/broker_scene.mjs';
import { until } from '../../support/server.mjs';

onEachBroker('expiry', (context) => {
    test('what has expired is not delivered, to one or to many', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const bob = await scene.peer(scene.bob);
        const ada = scene.ada.keys.hex;
        await bob.envelope(ada, 'brief', { ttlSeconds: 1 });
        await bob.envelope('*', 'brief to all', { ttlSeconds: 1 });
        const last = await bob.envelope(ada, 'long', { ttlSeconds: 3_600 });
        await bob.envelope('*', 'to all');
        assert.equal(last.queued, true);
        const end = Date.now() + 1_100;
        await until(() => Date.now() > end, { what: 'a second has passed' });
        const peer = await scene.peer(scene.ada);
        await peer.push('to all');
        assert.deepEqual(texts(peer), ['long', 'to all']);
        await Promise.all([bob.close(), peer.close()]);
    });

    test('refused: no number of seconds', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        for (const ttlSeconds of [-1, 1.5, '60', 31_536_001, []]) {
            const answer = await ada.envelope('*', 'x', { ttlSeconds });
            assert.equal(answer.code, 'invalid_argument', JSON.stringify(ttlSeconds));
        }
        await ada.close();
    });
});
