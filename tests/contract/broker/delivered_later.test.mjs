// What message_status says of envelopes to many that everyone got later.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delivered, onEachBroker, Scene } from '../../support/broker_scene.mjs';

onEachBroker('delivered later', (context) => {
    for (const target of ['*', '@front']) {
        test(`to ${target}: delivered once the last one has it`, async () => {
            const scene = await Scene.make(context, 'ada', 'bob');
            const groups = [{ name: 'front' }];
            const before = await scene.peer(scene.ada, { groups });
            await before.close();
            const bob = await scene.peer(scene.bob);
            const ack = await bob.envelope(target, 'later');
            const { messageId } = ack;
            const status = await bob.request({ type: 'message_status', messageId });
            assert.equal(status.delivered, false);
            const ada = await scene.peer(scene.ada);
            await ada.push('later');
            await delivered(bob, ack);
        });
    }
});
