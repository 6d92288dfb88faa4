// schedule, list_scheduled, cancel_scheduled: envelopes sent later, each firing delivered once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peerKeys } from '../../support/broker_peer.mjs';
import { onEachBroker, Scene, settled, texts } from '../../support/broker_scene.mjs';
import { until } from '../../support/server.mjs';

const kMinute = 60_000;
const kHour = 60 * kMinute;
const base64 = (text) => Buffer.from(text).toString('base64');

onEachBroker('schedule', (context) => {
    const schedule = async (peer, message) => {
        const answer = await peer.request({ type: 'schedule', ...message });
        assert.equal(answer.type, 'scheduled_ack', JSON.stringify(answer));
        assert.match(answer.scheduledId, /^[A-Za-z0-9]{32}$/);
        return answer;
    };
    const list = async (peer) => {
        const answer = await peer.request({ type: 'list_scheduled' });
        assert.equal(answer.type, 'scheduled_list');
        return answer.messages;
    };
    const scheduledIn = ({ mesh }) => `select id from mesh_schedule where mesh_id = '${mesh.id}'`;
    // As if the time had come.
    const makeDue = (id, at = Date.now() - 1) =>
        context.backend.sql(`update mesh_schedule set due_at = ${at} where id = '${id}'`);

    test('an encrypted one arrives at its time, from the key it was made with', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const session = peerKeys();
        const ada = await scene.peer(scene.ada, { session });
        const bob = await scene.peer(scene.bob);
        const sealed = {
            targetSpec: scene.bob.keys.hex,
            nonce: 'the nonce',
            ciphertext: 'sealed',
        };
        // Listed is one that cannot fire meanwhile.
        const deliverAt = Date.now() + kHour;
        const ack = await schedule(ada, { ...sealed, deliverAt });
        assert.equal(ack.deliverAt, deliverAt);
        const [{ createdAt, ...listed }] = await list(ada);
        assert.ok(Math.abs(createdAt - Date.now()) < kMinute);
        assert.deepEqual(listed, {
            id: ack.scheduledId,
            to: scene.bob.keys.hex,
            priority: 'next',
            deliverAt,
            encrypted: true,
            firedCount: 0,
        });
        await ada.request({ type: 'cancel_scheduled', scheduledId: ack.scheduledId });
        const soon = Date.now() + 1_200;
        await schedule(ada, { ...sealed, deliverAt: soon });
        const push = await bob.push('sealed');
        assert.ok(Date.now() >= soon);
        assert.deepEqual(
            [push.subtype, push.nonce, push.senderPubkey, push.senderMemberPubkey, push.senderName],
            ['reminder', 'the nonce', session.hex, scene.ada.keys.hex, 'ada'],
        );
        await until(async () => (await list(ada)).length === 0, { what: 'the end of it' });
    });

    test('plain text, to a group, to everyone, to oneself', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob, { groups: [{ name: 'front' }] });
        const now = Date.now();
        await schedule(ada, { to: '@front', message: 'grüße', deliverAt: now, priority: 'low' });
        await schedule(ada, { to: '*', message: 'all', deliverAt: now });
        await schedule(ada, { to: scene.ada.keys.hex, message: 'stand up', deliverAt: now });
        const push = await bob.push(base64('grüße'));
        assert.deepEqual([push.priority, push.nonce, push.subtype], ['low', '', 'reminder']);
        await bob.push(base64('all'));
        await ada.push(base64('stand up'));
        await settled(bob);
        assert.equal(texts(bob).length, 2);
    });

    test('the sender may be gone, and the receiver too', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        await schedule(ada, {
            to: scene.bob.keys.hex,
            message: 'see you',
            deliverAt: Date.now() + 500,
        });
        await ada.close();
        await until(
            async () => (await context.backend.sql(scheduledIn(scene))).length === 0,
            { what: 'the firing' },
        );
        const bob = await scene.peer(scene.bob);
        assert.equal((await bob.push(base64('see you'))).subtype, 'reminder');
    });

    test('what came due while the broker was down comes once, after its start', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const { scheduledId } = await schedule(ada, {
            to: scene.bob.keys.hex,
            message: 'after the crash',
            deliverAt: Date.now() + kHour,
        });
        await makeDue(scheduledId, Date.now() + 1_000);
        await context.backend.killAndRestart();
        const bob = await scene.peer(scene.bob);
        await bob.push(base64('after the crash'));
        const again = await scene.peer(scene.ada);
        await until(async () => (await list(again)).length === 0, { what: 'the end of it' });
        await settled(bob);
        assert.equal(texts(bob).length, 1);
    });

    test('a firing that is repeated after a crash is delivered once', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        const { scheduledId } = await schedule(ada, {
            to: scene.bob.keys.hex,
            message: 'tick',
            cron: '0 0 1 1 *',
        });
        const fired = async (count) =>
            until(
                async () => (await list(ada)).find(({ firedCount }) => firedCount === count),
                { what: `firing ${count}` },
            );
        const at = Date.now() - 5_000;
        await makeDue(scheduledId, at);
        await bob.push(base64('tick'));
        await fired(1);
        // The envelope was stored, the schedule not moved on.
        await makeDue(scheduledId, at);
        await fired(2);
        await settled(bob);
        assert.equal(texts(bob).length, 1);
        await makeDue(scheduledId, at + 1);
        await fired(3);
        await until(() => texts(bob).length === 2, { what: 'the next firing' });
    });

    test('a cron goes on at its next time', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        // Half an hour away, so that it does not come of itself while the test runs.
        const before = Date.now();
        const minute = (new Date(before).getUTCMinutes() + 30) % 60;
        const cron = `${minute} * * * *`;
        const ack = await schedule(ada, { to: '*', message: 'again', cron, deliverAt: 0 });
        assert.equal(ack.cron, cron);
        const expected = Math.floor(before / kMinute) * kMinute + 30 * kMinute;
        assert.equal(ack.deliverAt, expected);
        // Missed for a day: one firing makes up for all.
        await makeDue(ack.scheduledId, Date.now() - 24 * kHour);
        await bob.push(base64('again'));
        const next = await until(
            async () => (await list(ada)).find(({ firedCount }) => firedCount === 1),
            { what: 'the firing' },
        );
        assert.equal(next.deliverAt, expected);
        assert.deepEqual([next.message, next.cron, next.encrypted], ['again', cron, false]);
        await settled(bob);
        assert.equal(texts(bob).length, 1);
    });

    test('cancelled is cancelled, by its member only', async () => {
        const scene = await Scene.make(context, 'ada', 'eve');
        const ada = await scene.peer(scene.ada);
        const eve = await scene.peer(scene.eve);
        const { scheduledId } = await schedule(ada, {
            to: '*',
            message: 'never',
            deliverAt: Date.now() + kHour,
        });
        const cancel = async (peer, id = scheduledId) => {
            const answer = await peer.request({ type: 'cancel_scheduled', scheduledId: id });
            assert.equal(answer.type, 'cancel_scheduled_ack');
            return answer.ok;
        };
        assert.deepEqual(await list(eve), []);
        assert.equal(await cancel(eve), false);
        assert.equal(await cancel(ada), true);
        assert.equal(await cancel(ada), false);
        assert.deepEqual(await list(ada), []);
    });

    test('who is no member any more sends nothing', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        const { scheduledId } = await schedule(ada, {
            to: '*',
            message: 'from the outside',
            deliverAt: Date.now() + kHour,
        });
        const path = `/admin/meshes/${scene.mesh.id}/members/${scene.ada.id}`;
        const removed = await context.admin.call('DELETE', path);
        assert.ok(removed.status < 300, removed.text);
        await makeDue(scheduledId);
        await until(async () => (await context.backend.sql(scheduledIn(scene))).length === 0, {
            what: 'its end',
        });
        await settled(bob);
        assert.deepEqual(texts(bob), []);
    });

    test('a member schedules a hundred at most', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        const later = { to: '*', message: 'x', deliverAt: Date.now() + kHour };
        for (let i = 0; i < 100; i += 1) {
            await schedule(ada, later);
        }
        const refused = await ada.request({ type: 'schedule', ...later });
        assert.deepEqual([refused.type, refused.code], ['error', 'limit_reached']);
        assert.equal((await list(ada)).length, 100);
    });

    test('what is wrong is refused', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        const good = { type: 'schedule', to: '*', message: 'x', deliverAt: Date.now() + kHour };
        for (const [change, code] of [
            [{ to: undefined }, 'invalid_argument'],
            [{ to: 'ada' }, 'invalid_argument'],
            [{ to: '#topic' }, 'not_found'],
            [{ message: undefined }, 'invalid_argument'],
            [{ ciphertext: 'both' }, 'invalid_argument'],
            [{ message: 7 }, 'invalid_argument'],
            [{ message: 'x'.repeat(8_193) }, 'invalid_argument'],
            [{ message: undefined, ciphertext: '' }, 'invalid_argument'],
            [{ priority: 'soon' }, 'invalid_argument'],
            [{ deliverAt: undefined }, 'invalid_argument'],
            [{ deliverAt: Date.now() - 2 * kMinute }, 'invalid_argument'],
            [{ deliverAt: Date.now() + 400 * 24 * kHour }, 'invalid_argument'],
            [{ deliverAt: 'tomorrow' }, 'invalid_argument'],
            [{ deliverAt: 1e300 }, 'invalid_argument'],
            [{ cron: '* * * *' }, 'invalid_argument'],
            [{ cron: '0 0 30 2 *' }, 'invalid_argument'],
            [{ cron: '61 * * * *' }, 'invalid_argument'],
        ]) {
            const answer = await ada.request({ ...good, ...change });
            assert.deepEqual([answer.type, answer.code], ['error', code], JSON.stringify(change));
        }
        assert.deepEqual(await list(ada), []);
    });
});
