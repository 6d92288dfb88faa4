// Members without a socket: sending by POST and receiving by server-sent events, under an API key.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onEachBroker, sample, Scene } from '../../support/broker_scene.mjs';
import { call, envelope, EventReader, keyOf } from '../../support/http_peer.mjs';

onEachBroker('http peers', (context) => {
    test('what is posted reaches a socket, as from the member itself', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const { token } = await keyOf(context, scene, scene.ada);
        const bob = await scene.peer(scene.bob);
        const sent = await call(
            context,
            token,
            'POST',
            '/v1/messages',
            envelope(bob.key, 'by post', { client_message_id: 'c1', priority: 'now' }),
        );
        assert.equal(sent.status, 200, sent.text);
        assert.equal(sent.json.ok, true);
        const push = await bob.push('by post');
        assert.equal(push.messageId, sent.json.messageId);
        assert.equal(push.senderPubkey, scene.ada.keys.hex);
        assert.equal(push.senderName, 'ada');
        assert.equal(push.priority, 'now');

        const again = await call(
            context,
            token,
            'POST',
            '/v1/messages',
            envelope(bob.key, 'by post', { client_message_id: 'c1' }),
        );
        assert.deepEqual(again.json, { ...sent.json, repeated: true });
        await call(context, token, 'POST', '/v1/messages', envelope('*', 'to all'));
        await bob.push('to all');
        assert.deepEqual(
            bob.pushes().map((m) => m.ciphertext),
            ['by post', 'to all'],
        );
        await bob.close();
    });

    test('a stream gets what is sent, until it is acknowledged', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const { token } = await keyOf(context, scene, scene.ada);
        const bob = await scene.peer(scene.bob);
        await bob.envelope(scene.ada.keys.hex, 'before');
        const first = await EventReader.open(context, token);
        await bob.envelope(scene.ada.keys.hex, 'during');
        await bob.envelope('*', 'to all');
        const during = await first.push('during');
        await first.push('to all');
        assert.deepEqual(first.pushes(), ['before', 'during', 'to all']);
        const acknowledged = await call(context, token, 'POST', '/v1/messages/ack', {
            messageIds: [during.messageId, 'unknown'],
        });
        assert.deepEqual(acknowledged.json, { ok: true });
        await first.stop();

        const second = await EventReader.open(context, token);
        await second.push('to all');
        assert.deepEqual(second.pushes(), ['before', 'to all']);
        assert.equal(second.hello.presenceId, first.hello.presenceId, 'within the lease');
        assert.equal(second.hello.restored, true);
        await second.stop();
        await bob.close();
    });

    test('a stream is a peer among the others', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const { token } = await keyOf(context, scene, scene.ada);
        const bob = await scene.peer(scene.bob);
        const stream = await EventReader.open(context, token, '?session=build');
        const listed = (await bob.request({ type: 'list_peers' })).peers;
        assert.deepEqual(listed.map((peer) => peer.displayName).sort(), ['ada', 'bob']);
        const seen = await call(context, token, 'GET', '/v1/peers');
        assert.deepEqual(seen.json.peers, listed);
        bob.send({ type: 'set_state', key: 'build', value: 7 });
        const change = await stream.next((m) => m.type === 'state_change');
        assert.equal(change.value, 7);
        await stream.stop();
        await bob.close();
    });

    test('a younger stream of the same session ends the older one', async () => {
        const scene = await Scene.make(context, 'ada');
        const { token } = await keyOf(context, scene, scene.ada);
        const older = await EventReader.open(context, token);
        const other = await EventReader.open(context, token, '?session=other');
        const younger = await EventReader.open(context, token);
        await older.done;
        assert.deepEqual(older.closes, [{ code: 1000, reason: 'session_replaced' }]);
        assert.deepEqual(other.closes, []);
        await Promise.all([other.stop(), younger.stop()]);
    });

    test('refused: no key, a wrong one, a revoked one, one that may not', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const post = (token, body = envelope('*', 'x')) =>
            call(context, token, 'POST', '/v1/messages', body);
        for (const token of [undefined, 'nbk_wrong', `nbk_${'A'.repeat(32)}`]) {
            const refused = await post(token);
            assert.equal(refused.status, 401, refused.text);
            assert.equal(refused.json.error, 'unauthorized');
        }
        const sender = await keyOf(context, scene, scene.ada, { mayReceive: false });
        const reader = await keyOf(context, scene, scene.ada, { maySend: false });
        assert.equal((await post(reader.token)).status, 403);
        assert.equal(
            (await call(context, sender.token, 'GET', '/v1/messages/stream')).status,
            403,
        );
        assert.equal((await post(sender.token)).status, 200);
        const path = `/admin/meshes/${scene.mesh.id}/api-keys`;
        assert.equal((await context.admin.call('DELETE', `${path}/${sender.id}`)).status, 204);
        assert.equal((await post(sender.token)).status, 401);
        assert.equal((await context.admin.call('DELETE', `${path}/nobody`)).status, 404);

        const listed = await context.admin.call('GET', path);
        assert.deepEqual(
            listed.json.apiKeys.map((key) => [key.id, key.maySend, Boolean(key.revokedAt)]),
            [
                [sender.id, true, true],
                [reader.id, false, false],
            ],
        );
        assert.ok(!listed.text.includes('nbk_'), 'tokens are shown once');
        const removed = `/admin/meshes/${scene.mesh.id}/members/${scene.ada.id}`;
        await context.admin.call('DELETE', removed);
        assert.equal((await call(context, reader.token, 'GET', '/v1/peers')).status, 401);
        const orphan = await context.admin.call('POST', path, {
            memberId: scene.ada.id,
            label: 'late',
        });
        assert.equal(orphan.status, 404);
    });

    test('refused: bodies that are no envelope', async () => {
        const scene = await Scene.make(context, 'ada');
        const { token } = await keyOf(context, scene, scene.ada);
        const post = (body) => call(context, token, 'POST', '/v1/messages', body);
        const series = 'broker_messages_rejected_total{reason="parse_or_handler"}';
        const before = await sample(context, series);
        for (const body of [
            [],
            {},
            envelope('', 'x'),
            envelope('nobody', 'x'),
            envelope('*', 7),
            envelope('*', 'x', { priority: 'soon' }),
        ]) {
            const refused = await post(body);
            assert.equal(refused.status, 400, refused.text);
            assert.equal(refused.json.error, 'invalid_argument');
        }
        assert.equal(await sample(context, series), before + 6);
        assert.equal((await post(envelope('*', 'x'.repeat(70_000)))).status, 413);
        const bad = await call(context, token, 'POST', '/v1/messages/ack', { messageIds: 'one' });
        assert.equal(bad.status, 400);
    });
});

onEachBroker(
    'http peers under limits',
    (context) => {
        test('the send limit is that of the member', async () => {
            const scene = await Scene.make(context, 'ada');
            const { token } = await keyOf(context, scene, scene.ada);
            const statuses = [];
            for (let i = 0; i < 4; i += 1) {
                const sent = await call(
                    context,
                    token,
                    'POST',
                    '/v1/messages',
                    envelope('*', `${i}`),
                );
                statuses.push(`${sent.status} ${sent.json.error ?? 'ok'}`);
            }
            assert.deepEqual(statuses, ['200 ok', '200 ok', '429 rate_limit', '429 rate_limit']);
        });

        test('a full mesh has no place for another stream', async () => {
            const scene = await Scene.make(context, 'ada', 'bob');
            const bob = await scene.peer(scene.bob);
            const { token } = await keyOf(context, scene, scene.ada);
            const refused = await call(context, token, 'GET', '/v1/messages/stream');
            assert.equal(refused.status, 429, refused.text);
            assert.equal(refused.json.error, 'capacity');
            await bob.close();
        });
    },
    { env: { BROKER_SEND_LIMIT: '1/h:2', MAX_CONNECTIONS_PER_MESH: '1' } },
);
