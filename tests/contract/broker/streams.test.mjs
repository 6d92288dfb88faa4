// create_stream, subscribe, unsubscribe, publish, list_streams: live feeds, stored nowhere.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peerKeys } from '../../support/broker_peer.mjs';
import { onEachBroker, Scene, settled } from '../../support/broker_scene.mjs';
import { until } from '../../support/server.mjs';

const data = (peer) => peer.messages.filter(({ type }) => type === 'stream_data');

onEachBroker('streams', (context) => {
    const subscribe = (peer, stream) => peer.request({ type: 'subscribe', stream });
    const publish = (peer, stream, value) =>
        peer.request({ type: 'publish', stream, data: value });

    test('what is published reaches the other subscribers, in order', async () => {
        const scene = await Scene.make(context, 'ada', 'bob', 'eve');
        const [ada, bob, eve] = await Promise.all(
            [scene.ada, scene.bob, scene.eve].map((member) => scene.peer(member)),
        );
        const created = await ada.request({ type: 'create_stream', name: 'builds' });
        assert.deepEqual([created.type, created.name], ['stream_created', 'builds']);
        for (const peer of [ada, bob]) {
            const answer = await subscribe(peer, 'builds');
            assert.deepEqual([answer.type, answer.stream], ['subscribed', 'builds']);
        }
        const values = [{ step: 1, ok: true }, 'text "quoted"', 3.5, null, [1, 2]];
        for (const value of values) {
            const ack = await publish(ada, 'builds', value);
            assert.deepEqual([ack.type, ack.queued], ['ack', false]);
        }
        await until(() => data(bob).length === values.length, { what: 'the data' });
        assert.deepEqual(
            data(bob).map((message) => message.data),
            values,
        );
        const { publishedAt, ...rest } = data(bob)[0];
        assert.deepEqual(rest, {
            type: 'stream_data',
            stream: 'builds',
            data: values[0],
            publishedBy: 'ada',
        });
        assert.ok(Math.abs(Date.parse(publishedAt) - Date.now()) < 60_000);
        await settled(eve);
        assert.deepEqual([data(ada).length, data(eve).length], [0, 0]);
    });

    test('publishing is answered only if it asks for an answer', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        await subscribe(bob, 's');
        ada.send({ type: 'publish', stream: 's', data: 1 });
        await bob.next(({ type }) => type === 'stream_data');
        await settled(ada);
        assert.ok(!ada.messages.some(({ type }) => type === 'ack'));
    });

    test('unsubscribed is unsubscribed; the list counts', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const other = await Scene.make(context, 'eve');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        const eve = await other.peer(other.eve);
        await subscribe(bob, 's');
        await subscribe(bob, 'r');
        await subscribe(eve, 's');
        const left = await bob.request({ type: 'unsubscribe', stream: 'r' });
        assert.deepEqual([left.type, left.stream], ['unsubscribed', 'r']);
        await publish(ada, 'r', 1);
        await publish(ada, 's', 2);
        await bob.next(({ type }) => type === 'stream_data');
        await settled(eve);
        assert.deepEqual(data(bob).map(({ stream }) => stream), ['s']);
        assert.equal(data(eve).length, 0, 'a stream belongs to one mesh');
        const { type, streams } = await ada.request({ type: 'list_streams' });
        assert.equal(type, 'stream_list');
        assert.deepEqual(
            streams.map(({ name, subscribers, createdBy, published }) => [
                ...[name, subscribers, createdBy, published],
            ]),
            [
                ['r', 0, 'bob', 1],
                ['s', 1, 'bob', 1],
            ],
        );
    });

    test('a subscription holds over a lost connection and ends with the session', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const session = peerKeys();
        const before = await scene.peer(scene.bob, { session });
        await subscribe(before, 's');
        await before.cut();
        const after = await scene.peer(scene.bob, { session });
        assert.equal(after.ack.restored, true);
        await publish(ada, 's', 'again');
        assert.equal((await after.next(({ type }) => type === 'stream_data')).data, 'again');
    });

    test('a mesh has room for a hundred in use', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        for (let i = 0; i < 101; i += 1) {
            await ada.request({ type: 'create_stream', name: `s${i}` });
        }
        const { streams } = await ada.request({ type: 'list_streams' });
        assert.equal(streams.length, 100);
        for (const { name } of streams) {
            await subscribe(ada, name);
        }
        const refused = await subscribe(ada, 'one more');
        assert.deepEqual([refused.type, refused.code], ['error', 'limit_reached']);
    });

    test('what is wrong is refused by name', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        const refused = async (message, expected) => {
            const answer = await ada.request(message);
            assert.deepEqual([answer.type, answer.code], ['error', 'invalid_argument']);
            assert.equal(answer.message, expected);
        };
        await refused({ type: 'create_stream' }, 'name is missing');
        await refused({ type: 'subscribe' }, 'stream is missing');
        await refused({ type: 'publish', stream: 's' }, 'data is missing');
        await refused(
            { type: 'subscribe', stream: 'a\nb' },
            'stream must be 1 to 64 visible characters',
        );
    });

    test('a flood is held back and harms nobody', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        await subscribe(bob, 's');
        const count = 8_000; // 1,000 at once and 200 a second are allowed
        for (let i = 0; i < count; i += 1) {
            ada.send({ type: 'publish', stream: 's', data: i });
        }
        await ada.next(({ type, code }) => type === 'error' && code === 'rate_limit');
        await settled(ada);
        await settled(bob);
        assert.ok(data(bob).length >= 1_000 && data(bob).length < count, `${data(bob).length}`);
        assert.equal(bob.end, undefined);
    });
});
