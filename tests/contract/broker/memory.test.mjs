// remember, recall, forget: notes of a mesh, found by their words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onEachBroker, Scene } from '../../support/broker_scene.mjs';

onEachBroker('memory', (context) => {
    const remember = (peer, content, tags) =>
        peer.request({ type: 'remember', content, ...(tags ? { tags } : {}) });
    const recall = async (peer, query) => {
        const answer = await peer.request({ type: 'recall', query });
        assert.equal(answer.type, 'memory_results', JSON.stringify(answer));
        return answer.memories;
    };

    test('what one remembers another recalls, best first', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        const stored = await remember(ada, 'The deploy key is in the "vault"', ['ops', 'key "1"']);
        assert.equal(stored.type, 'memory_stored');
        assert.match(stored.id, /^[A-Za-z0-9]{32}$/);
        await remember(ada, 'Deploying: deploy, then deploy again');
        await remember(ada, 'Lunch is at noon');
        const found = await recall(bob, 'deploys');
        assert.deepEqual(
            found.map(({ content }) => content),
            ['Deploying: deploy, then deploy again', 'The deploy key is in the "vault"'],
        );
        const { rememberedAt, ...rest } = found[1];
        assert.deepEqual(rest, {
            id: stored.id,
            content: 'The deploy key is in the "vault"',
            tags: ['ops', 'key "1"'],
            rememberedBy: 'ada',
        });
        assert.ok(Math.abs(Date.parse(rememberedAt) - Date.now()) < 60_000);
        assert.deepEqual((await recall(bob, 'lunch'))[0].tags, []);
    });

    test('what is forgotten is not found, and cannot be forgotten twice', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        const { id } = await remember(ada, 'ephemeral thing');
        const ack = await bob.request({ type: 'forget', memoryId: id, id: 'f1' });
        assert.deepEqual(
            { ...ack, _reqId: undefined },
            { type: 'ack', _reqId: undefined, id: 'f1', messageId: id, queued: false },
        );
        assert.deepEqual(await recall(ada, 'ephemeral'), []);
        const again = await bob.request({ type: 'forget', memoryId: id, id: 'f2' });
        assert.deepEqual([again.type, again.code, again.id], ['error', 'not_found', 'f2']);
    });

    test('a mesh sees only its own', async () => {
        const one = await Scene.make(context, 'ada');
        const two = await Scene.make(context, 'eve');
        const ada = await one.peer(one.ada);
        const eve = await two.peer(two.eve);
        const { id } = await remember(ada, 'private words');
        assert.deepEqual(await recall(eve, 'private words'), []);
        assert.deepEqual(await recall(eve, `private" OR mesh_id : "${one.mesh.id}`), []);
        assert.equal((await eve.request({ type: 'forget', memoryId: id })).code, 'not_found');
        assert.equal((await recall(ada, 'private')).length, 1);
    });

    test('queries are words, never syntax', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        await remember(ada, 'plain words');
        const hostile = ['"', "'", 'words" OR "x', '(', 'wor*', 'NEAR(', 'a:b', '!', '&|', '\\'];
        for (const query of hostile) {
            assert.ok(Array.isArray(await recall(ada, query)), query);
        }
        assert.equal((await recall(ada, '"plain" *words*')).length, 1);
    });

    test('twenty at most, and large ones still fit in one answer', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        const filler = 'word '.repeat(3_200);
        for (let i = 0; i < 22; i += 1) {
            await remember(ada, `large ${i} ${filler}`);
        }
        assert.equal((await recall(ada, 'large')).length, 20);
    });

    test('what is wrong is refused by name', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        const refused = async (message, expected) => {
            const answer = await ada.request(message);
            assert.deepEqual([answer.type, answer.code], ['error', 'invalid_argument']);
            assert.equal(answer.message, expected);
        };
        const type = 'remember';
        await refused({ type }, 'content is missing');
        await refused({ type, content: '' }, 'content is missing');
        await refused({ type, content: 7 }, 'content must be a string');
        await refused({ type, content: 'a\0b' }, 'content must not hold NUL');
        await refused({ type, content: 'x'.repeat(16_385) }, 'content is longer than 16384 bytes');
        await refused({ type, content: 'x', tags: 'x' }, 'tags must be an array of strings');
        await refused({ type, content: 'x', tags: [1] }, 'tags must be a string');
        await refused(
            { type, content: 'x', tags: ['y'.repeat(65)] },
            'tags is longer than 64 bytes',
        );
        await refused(
            { type, content: 'x', tags: Array(33).fill('y') },
            'tags has more than 32 elements',
        );
        await refused({ type: 'recall' }, 'query is missing');
        await refused(
            { type: 'recall', query: 'x'.repeat(1_025) },
            'query is longer than 1024 bytes',
        );
        await refused({ type: 'recall', query: 'a\0b' }, 'query must not hold NUL');
        await refused({ type: 'forget' }, 'memoryId is missing');
        assert.equal((await remember(ada, 'x'.repeat(16_384))).type, 'memory_stored');
    });

    test('memories outlive the process', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        await remember(ada, 'durable words');
        await context.backend.restart();
        const again = await scene.peer(scene.ada);
        assert.equal((await recall(again, 'durable')).length, 1);
    });
});
