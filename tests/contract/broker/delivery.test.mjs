// Envelopes on their way: order, acknowledgement, repeats, redelivery, what becomes of each.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peerKeys } from '../../support/broker_peer.mjs';
import { delivered, onEachBroker, Scene, settled, texts } from '../../support/broker_scene.mjs';
import { until } from '../../support/server.mjs';

const numbered = (count) => Array.from({ length: count }, (_, i) => `n${i}`);

onEachBroker('delivery', (context) => {
    const statusOf = async (peer, messageId) =>
        peer.request({ type: 'message_status', messageId });
    // Sends without waiting for anything.
    const burst = (peer, target, contents, more = {}) =>
        contents.forEach((ciphertext) =>
            peer.send({
                type: 'send',
                id: ciphertext,
                targetSpec: target,
                priority: 'next',
                nonce: '',
                ciphertext,
                ...more,
            }),
        );

    test('a burst is acknowledged and arrives in the order it was sent', async () => {
        const scene = await Scene.make(context, 'ada', 'bob', 'cyd');
        const ada = await scene.peer(scene.ada, { session: peerKeys() });
        const bob = await scene.peer(scene.bob);
        const cyd = await scene.peer(scene.cyd, { groups: [{ name: 'g' }] });
        const targets = [ada.key, scene.ada.keys.hex, '*', scene.ada.keys.hex, '@g'];
        const sent = numbered(150).map((id, i) => ({ id, target: targets[i % 5] }));
        sent.forEach(({ id, target }) => burst(bob, target, [id]));
        await cyd.push(sent.at(-1).id);
        await ada.push(sent.at(-2).id);
        await settled(bob);
        const acks = bob.messages.filter(({ type }) => type === 'ack');
        assert.deepEqual(
            acks.map(({ id }) => id),
            sent.map(({ id }) => id),
        );
        const for_ = (wanted) => sent.filter((s) => wanted(s.target)).map(({ id }) => id);
        assert.deepEqual(texts(ada), for_((target) => target !== '@g'));
        assert.deepEqual(texts(cyd), for_((target) => target === '*' || target === '@g'));
    });

    test('a burst to an absent member is replayed in order', async () => {
        const scene = await Scene.make(context, 'ada', 'bob', 'cyd');
        const bob = await scene.peer(scene.bob);
        const cyd = await scene.peer(scene.cyd);
        const contents = numbered(300);
        contents.forEach((text, i) => burst(bob, i % 3 === 0 ? '*' : scene.ada.keys.hex, [text]));
        // While it is replayed more comes.
        const ada = await scene.peer(scene.ada);
        const more = numbered(350).slice(300);
        burst(bob, ada.key, more);
        await ada.push(more.at(-1));
        assert.deepEqual(texts(ada), [...contents, ...more]);
        await until(() => texts(cyd).length >= 100, { what: 'all that went to everyone' });
        await settled(cyd);
        assert.equal(texts(cyd).length, 100);
    });

    test('answers come in the order of the requests', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const requests = [
            { type: 'send', id: 's1', targetSpec: scene.bob.keys.hex, ciphertext: '1' },
            { type: 'list_peers' },
            { type: 'send', id: 's2', targetSpec: scene.bob.keys.hex, ciphertext: '2' },
            { type: 'send', id: 's3', targetSpec: 'no target', ciphertext: '3' },
            { type: 'get_state', key: 'a' },
            { type: 'send', id: 's4', targetSpec: '*', ciphertext: '4' },
            { type: 'message_status', messageId: 'nothing' },
            { type: 'list_state' },
            { type: 'set_status', status: 'tired' },
            { type: 'send', id: 's5', targetSpec: scene.bob.keys.hex, ciphertext: '5' },
            { type: 'list_peers' },
        ];
        requests.forEach((request, i) => ada.send({ nonce: '', ...request, _reqId: `r${i}` }));
        await ada.next((m) => m._reqId === 'r10');
        const answers = ada.messages.filter((m) => m._reqId);
        assert.deepEqual(
            answers.map((m) => `${m._reqId} ${m.type}`),
            [
                ...['r0 ack', 'r1 peers_list', 'r2 ack', 'r3 error', 'r3 ack', 'r4 state_result'],
                ...['r5 ack', 'r6 error', 'r7 state_list', 'r8 error', 'r9 ack', 'r10 peers_list'],
            ],
        );
    });

    test('a refused send is answered after the sends before it', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const ids = numbered(40);
        ids.forEach((id, i) => burst(ada, i % 4 === 3 ? 'nonsense' : scene.bob.keys.hex, [id]));
        await settled(ada);
        const acks = ada.messages.filter(({ type }) => type === 'ack');
        assert.deepEqual(
            acks.map(({ id }) => id),
            ids,
        );
        assert.ok(acks.every(({ queued }, i) => queued === (i % 4 !== 3)));
    });

    test('the same client_message_id is the same envelope', async () => {
        const scene = await Scene.make(context, 'ada', 'bob', 'cyd');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        const same = { client_message_id: 'one' };
        const first = await bob.envelope(ada.key, 'once', same);
        await ada.push('once');
        await delivered(bob, first);
        for (let i = 0; i < 3; i += 1) {
            const again = await bob.envelope(ada.key, 'once', same);
            assert.equal(again.messageId, first.messageId);
            assert.equal(again.queued, true);
        }
        // Also over a new connection, after a restart, and while it waits.
        await bob.envelope(scene.cyd.keys.hex, 'waits', { client_message_id: 'two' });
        await context.backend.restart();
        const back = await scene.peer(scene.bob);
        assert.equal((await back.envelope(ada.key, 'once', same)).messageId, first.messageId);
        await back.envelope(scene.cyd.keys.hex, 'waits', { client_message_id: 'two' });
        const cyd = await scene.peer(scene.cyd);
        await cyd.push('waits');
        // It is the sender's own: another's is another.
        const other = await cyd.envelope(scene.ada.keys.hex, 'mine', same);
        assert.notEqual(other.messageId, first.messageId);
        const later = await scene.peer(scene.ada);
        await later.push('mine');
        await settled(later);
        await settled(cyd);
        assert.deepEqual([texts(later), texts(cyd)], [['mine'], ['waits']]);
    });

    test('repeats within one burst are one envelope, too', async () => {
        const scene = await Scene.make(context, 'ada', 'bob', 'cyd');
        const ada = await scene.peer(scene.ada);
        const cyd = await scene.peer(scene.cyd);
        const bob = await scene.peer(scene.bob);
        burst(bob, ada.key, numbered(20), { client_message_id: 'direct', ciphertext: 'direct' });
        burst(bob, '*', numbered(20), { client_message_id: 'many', ciphertext: 'many' });
        await bob.envelope('*', 'end');
        const ids = new Set(
            bob.messages.filter(({ type }) => type === 'ack').map(({ messageId }) => messageId),
        );
        assert.equal(ids.size, 3);
        await ada.push('end');
        await cyd.push('end');
        assert.deepEqual(texts(ada), ['direct', 'many', 'end']);
        assert.deepEqual(texts(cyd), ['many', 'end']);
    });

    test('who acknowledges gets again what it did not, on its next connection', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const bob = await scene.peer(scene.bob);
        const ada = await scene.peer(scene.ada, { session: peerKeys() });
        ada.send({ type: 'client_ack', clientMessageId: 'none such' }); // says that it does
        await settled(ada);
        const sent = [];
        for (const [i, target] of [ada.key, scene.ada.keys.hex, '*', ada.key, '*'].entries()) {
            sent.push(await bob.envelope(target, `m${i}`, { client_message_id: `c${i}` }));
            await ada.push(`m${i}`);
        }
        ada.send({ type: 'client_ack', brokerMessageId: sent[1].messageId });
        ada.send({ type: 'client_ack', clientMessageId: 'c2' });
        await settled(ada);
        assert.equal(texts(ada).length, 5, 'not before the connection ends');
        await ada.cut();
        const back = await scene.peer(scene.ada, { session: ada.session });
        await back.push('m4');
        assert.deepEqual(texts(back), ['m0', 'm3', 'm4']);
        for (const { messageId } of back.pushes()) {
            back.send({ type: 'client_ack', brokerMessageId: messageId });
        }
        await settled(back);
        await back.cut();
        const last = await scene.peer(scene.ada, { session: ada.session });
        await bob.envelope(last.key, 'fresh');
        await last.push('fresh');
        assert.deepEqual(texts(last), ['fresh']);
    });

    test('who never acknowledges gets nothing twice', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const bob = await scene.peer(scene.bob);
        let ada = await scene.peer(scene.ada, { session: peerKeys() });
        for (let round = 0; round < 3; round += 1) {
            await bob.envelope('*', `all ${round}`);
            const last = await bob.envelope(ada.key, `direct ${round}`);
            await ada.push(`direct ${round}`);
            await delivered(bob, last);
            await ada.cut();
            ada = await scene.peer(scene.ada, { session: ada.session });
            await settled(ada);
            assert.deepEqual(texts(ada), []);
        }
    });

    test("a client_ack for what is another's changes nothing", async () => {
        const scene = await Scene.make(context, 'ada', 'bob', 'cyd');
        const bob = await scene.peer(scene.bob);
        const cyd = await scene.peer(scene.cyd);
        const same = { client_message_id: 'c' };
        const { messageId } = await bob.envelope(scene.ada.keys.hex, 'for ada', same);
        cyd.send({ type: 'client_ack', brokerMessageId: messageId });
        cyd.send({ type: 'client_ack', clientMessageId: 'c' });
        cyd.send({ type: 'client_ack' });
        cyd.send({ type: 'client_ack', brokerMessageId: { $ne: 1 }, clientMessageId: [] });
        await settled(cyd);
        const ada = await scene.peer(scene.ada);
        await ada.push('for ada');
    });

    test('message_status: delivered, held, disconnected, unknown', async () => {
        const scene = await Scene.make(context, 'ada', 'bob', 'cyd');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        const nobody = peerKeys().hex;
        const expect = async (ack, target, recipients) => {
            const isDelivered = recipients.every(({ status }) => status === 'delivered');
            const wanted = (status) =>
                status.type === 'message_status_result' && status.delivered === isDelivered;
            const status = await until(async () => {
                const answer = await statusOf(bob, ack.messageId);
                return wanted(answer) ? answer : undefined;
            });
            const { deliveredAt, _reqId, ...rest } = status;
            assert.equal(typeof _reqId, 'string');
            assert.deepEqual(rest, {
                type: 'message_status_result',
                messageId: ack.messageId,
                targetSpec: target,
                delivered: isDelivered,
                recipients,
            });
            if (isDelivered) {
                assert.ok(Math.abs(Date.parse(deliveredAt) - Date.now()) < 60_000);
            } else {
                assert.equal(deliveredAt, null);
            }
        };
        const entry = (member, status) => ({ name: member.name, pubkey: member.keys.hex, status });
        await expect(await bob.envelope(ada.key, 'x'), ada.key, [entry(scene.ada, 'delivered')]);
        ada.send({ type: 'set_status', status: 'dnd' });
        await settled(ada);
        await expect(await bob.envelope(ada.key, 'x'), ada.key, [entry(scene.ada, 'held')]);
        const { hex } = scene.cyd.keys;
        await expect(await bob.envelope(hex, 'x'), hex, [entry(scene.cyd, 'disconnected')]);
        await expect(await bob.envelope(nobody, 'x'), nobody, [
            { name: 'unknown', pubkey: nobody, status: 'disconnected' },
        ]);
        const many = await statusOf(bob, (await bob.envelope('*', 'x')).messageId);
        assert.equal(many.delivered, false);
        assert.deepEqual(
            many.recipients.map(({ name, status }) => `${name} ${status}`).sort(),
            ['ada held', 'cyd disconnected'],
        );
        for (const messageId of ['A'.repeat(32), '', "' or 1=1 --", 5, undefined]) {
            const status = await statusOf(bob, messageId);
            assert.deepEqual([status.type, status.code], ['error', 'not_found']);
        }
    });

    test('an expired envelope is not delivered', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const bob = await scene.peer(scene.bob);
        await bob.envelope(scene.ada.keys.hex, 'direct');
        await bob.envelope('*', 'to all');
        await context.backend.sql(
            `update mesh_message set expires_at = 1 where mesh_id = '${scene.mesh.id}'`,
        );
        await bob.envelope(scene.ada.keys.hex, 'fresh');
        const ada = await scene.peer(scene.ada);
        await ada.push('fresh');
        assert.deepEqual(texts(ada), ['fresh']);
    });

    test('a lifetime of 168 hours is what an envelope gets', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        await ada.envelope(peerKeys().hex, 'x');
        const [[lifetime]] = await context.backend.sql(
            `select expires_at - created_at from mesh_message where mesh_id = '${scene.mesh.id}'`,
        );
        assert.equal(Number(lifetime), 168 * 3600 * 1000);
    });
}, { env: { BROKER_SEND_LIMIT: '10000/s:10000' } });
