// What peers of a mesh share: state, groups, summaries, and who is shown.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peerKeys } from '../../support/broker_peer.mjs';
import { onEachBroker, Scene, settled } from '../../support/broker_scene.mjs';

const changesOf = (peer) => peer.messages.filter(({ type }) => type === 'state_change');

onEachBroker('shared state', (context) => {
    const expectRefused = async (peer, message) => {
        const answer = await peer.request(message);
        assert.deepEqual([answer.type, answer.code], ['error', 'invalid_argument']);
    };

    const values = {
        null: null,
        'a boolean': false,
        'a number': -1.5e-7,
        'a large integer': 9_007_199_254_740_991,
        text: 'ü "quoted" \\ \u{1f680} \n',
        'an empty text': '',
        'a list': [1, [2, [3, {}]]],
        'an object': { a: { b: [null, true, 'x'] }, 'odd "key"': 1, '': 2 },
    };
    for (const [what, value] of Object.entries(values)) {
        test(`${what} comes back as it was set, and the others are told`, async () => {
            const scene = await Scene.make(context, 'ada', 'bob');
            const ada = await scene.peer(scene.ada, { hello: { displayName: 'ada "1"' } });
            const bob = await scene.peer(scene.bob);
            ada.send({ type: 'set_state', key: 'k "1"', value });
            await settled(ada);
            const change = await bob.next((m) => m.type === 'state_change');
            assert.deepEqual(change, {
                type: 'state_change',
                key: 'k "1"',
                value,
                updatedBy: 'ada "1"',
            });
            assert.deepEqual(changesOf(ada), [], 'but not who did it');
            const { updatedAt, _reqId, ...result } = await bob.request({
                type: 'get_state',
                key: 'k "1"',
            });
            assert.ok(_reqId);
            assert.ok(Math.abs(Date.parse(updatedAt) - Date.now()) < 60_000);
            assert.deepEqual(result, {
                type: 'state_result',
                key: 'k "1"',
                value,
                updatedBy: 'ada "1"',
            });
        });
    }

    test('set_state itself has no answer', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        ada.send({ type: 'set_state', key: 'k', value: 1 });
        await settled(ada);
        assert.deepEqual(
            ada.messages.map(({ type }) => type),
            ['hello_ack', 'peers_list'],
        );
    });

    test('a key that was never set', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        const { _reqId, ...result } = await ada.request({ type: 'get_state', key: 'absent' });
        assert.deepEqual(result, {
            type: 'state_result',
            key: 'absent',
            value: null,
            updatedBy: '',
            updatedAt: '',
        });
    });

    test('list_state is in the order of the keys, the last value of each, and survives', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        for (const key of ['b', 'a', "c'; drop table mesh_state; --", 'B', 'ä', 'a']) {
            ada.send({ type: 'set_state', key, value: [key] });
        }
        await settled(ada);
        bob.send({ type: 'set_state', key: 'b', value: 'by bob' });
        await settled(bob);
        const read = async (peer) => {
            const { entries } = await peer.request({ type: 'list_state' });
            return entries.map(({ key, value, updatedBy }) => [key, value, updatedBy]);
        };
        const expected = [
            ['B', ['B'], 'ada'],
            ['a', ['a'], 'ada'],
            ['b', 'by bob', 'bob'],
            ["c'; drop table mesh_state; --", ["c'; drop table mesh_state; --"], 'ada'],
            ['ä', ['ä'], 'ada'],
        ];
        assert.deepEqual(await read(ada), expected);
        await context.backend.restart();
        assert.deepEqual(await read(await scene.peer(scene.bob)), expected);
    });

    test('a key that is none is refused', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        for (const key of [undefined, '', 5, null, 'x'.repeat(257), 'a\u0000b']) {
            await expectRefused(ada, { type: 'set_state', key, value: 1 });
        }
        const { entries } = await ada.request({ type: 'list_state' });
        assert.deepEqual(entries, []);
    });

    test('two at once: one value wins, for everyone the same', async () => {
        const scene = await Scene.make(context, 'ada', 'bob', 'cyd');
        const peers = [await scene.peer(scene.ada), await scene.peer(scene.bob)];
        const cyd = await scene.peer(scene.cyd);
        for (let i = 0; i < 40; i += 1) {
            peers[i % 2].send({ type: 'set_state', key: 'k', value: i });
        }
        await Promise.all(peers.map(settled));
        const { value } = await cyd.request({ type: 'get_state', key: 'k' });
        const told = changesOf(cyd).map((change) => change.value);
        assert.equal(told.length, 40);
        assert.equal(told.at(-1), value, 'the last one told is the one that is stored');
    });
});

onEachBroker('presence', (context) => {
    const selfOf = async (peer) =>
        (await settled(peer)).peers.find(({ pubkey }) => pubkey === peer.key);

    test('list_peers is in the order of arrival, with the caller', async () => {
        const names = ['ada', 'bob', 'cyd', 'dan'];
        const scene = await Scene.make(context, ...names);
        const peers = [];
        for (const name of names) {
            peers.push(await scene.peer(scene[name]));
        }
        const listed = (await settled(peers[2])).peers;
        assert.deepEqual(
            listed.map(({ displayName }) => displayName),
            names,
        );
        const times = listed.map(({ connectedAt }) => connectedAt);
        assert.deepEqual(times, [...times].sort());
    });

    test('a summary is shown until it is changed', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        assert.equal((await selfOf(ada)).summary, null);
        for (const summary of ['reading "x"', 'ü \u{1f680}', 's'.repeat(4_096), '']) {
            ada.send({ type: 'set_summary', summary });
            await settled(ada);
            const { peers } = await settled(bob);
            assert.equal(peers.find(({ pubkey }) => pubkey === ada.key).summary, summary);
        }
        const answer = await ada.request({ type: 'set_summary', summary: 's'.repeat(4_097) });
        assert.deepEqual([answer.type, answer.code], ['error', 'invalid_argument']);
        assert.equal((await selfOf(ada)).summary, '');
    });

    test('groups: joined, joined again with another role, left', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        ada.send({ type: 'join_group', name: 'front', role: 'lead' });
        ada.send({ type: 'join_group', name: 'back' });
        ada.send({ type: 'join_group', name: 'front', role: 'guest' });
        assert.deepEqual((await selfOf(ada)).groups, [
            { name: 'front', role: 'guest' },
            { name: 'back' },
        ]);
        ada.send({ type: 'leave_group', name: 'front' });
        ada.send({ type: 'leave_group', name: 'never joined' });
        assert.deepEqual((await selfOf(ada)).groups, [{ name: 'back' }]);
        assert.ok(!ada.messages.some(({ type }) => type === 'error'));
    });

    test('hidden from other members, not from oneself, and still reached', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada, { session: peerKeys() });
        const twin = await scene.peer(scene.ada, { session: peerKeys() });
        const bob = await scene.peer(scene.bob);
        const count = async (peer) => (await settled(peer)).peers.length;
        const answer = await ada.request({ type: 'set_visible', visible: false });
        assert.deepEqual([answer.type, answer.queued], ['ack', false]);
        assert.deepEqual([await count(ada), await count(twin), await count(bob)], [3, 3, 2]);
        assert.equal((await selfOf(ada)).visible, false);
        await bob.envelope(ada.key, 'direct');
        await ada.push('direct');
        await ada.request({ type: 'set_visible', visible: true });
        assert.equal(await count(bob), 3);
        for (const visible of ['yes', 1, null, undefined]) {
            const refused = await ada.request({ type: 'set_visible', visible });
            assert.deepEqual([refused.type, refused.code], ['error', 'invalid_argument']);
        }
    });
});
