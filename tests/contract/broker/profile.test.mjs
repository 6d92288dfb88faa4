// mesh_info, set_profile, set_stats.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onEachBroker, Scene, settled } from '../../support/broker_scene.mjs';

onEachBroker('profile', (context) => {
    const entryOf = async (viewer, member) =>
        (await settled(viewer)).peers.find(({ memberPubkey }) => memberPubkey === member.keys.hex);

    test('mesh_info tells what is there', async () => {
        const scene = await Scene.make(context, 'ada', 'bob', 'eve');
        const ada = await scene.peer(scene.ada, { groups: [{ name: 'front', role: 'lead' }] });
        await scene.peer(scene.bob, { groups: [{ name: 'back' }, { name: 'front' }] });
        const eve = await scene.peer(scene.eve, { groups: [{ name: 'secret' }] });
        const ask = () => ada.request({ type: 'mesh_info' });
        const { _reqId, ...empty } = await ask();
        assert.ok(_reqId);
        assert.deepEqual(empty, {
            type: 'mesh_info_result',
            mesh: scene.mesh.id,
            peers: 3,
            groups: ['@back', '@front', '@secret'],
            stateKeys: 0,
            memoryCount: 0,
            fileCount: 0,
            tasks: { open: 0, claimed: 0, done: 0 },
            streams: [],
            tables: [],
            collections: [],
            yourName: 'ada',
            yourGroups: [{ name: 'front', role: 'lead' }],
        });
        await eve.request({ type: 'set_visible', visible: false });
        ada.send({ type: 'set_state', key: 'k', value: 1 });
        await ada.request({ type: 'remember', content: 'something' });
        const { id } = await ada.request({ type: 'create_task', title: 'one' });
        await ada.request({ type: 'create_task', title: 'two' });
        await ada.request({ type: 'claim_task', taskId: id });
        await ada.request({ type: 'create_stream', name: 'builds' });
        const full = await ask();
        assert.deepEqual(
            [full.peers, full.groups, full.stateKeys, full.memoryCount, full.tasks, full.streams],
            [2, ['@back', '@front'], 1, 1, { open: 1, claimed: 1, done: 0 }, ['builds']],
        );
    });

    test('a profile card shows in peers_list, changed member by member', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        assert.equal((await entryOf(bob, scene.ada)).profile, undefined);
        const capabilities = ['c++', 'sql'];
        const card = { avatar: '🦉', title: 'Reviewer', bio: 'reads', capabilities };
        const ack = await ada.request({ type: 'set_profile', ...card });
        assert.deepEqual([ack.type, ack.queued], ['ack', false]);
        assert.deepEqual((await entryOf(bob, scene.ada)).profile, card);
        await ada.request({ type: 'set_profile', title: 'Author', bio: null });
        assert.deepEqual((await entryOf(bob, scene.ada)).profile, {
            ...card,
            title: 'Author',
            bio: '',
        });
        await ada.request({ type: 'set_profile', avatar: '', title: '', capabilities: [] });
        assert.equal((await entryOf(bob, scene.ada)).profile, undefined);
    });

    test('stats show in peers_list and are not answered', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        const stats = { messagesIn: 3, toolCalls: 7, ratio: 0.5 };
        ada.send({ type: 'set_stats', stats, _reqId: 'stats' });
        await settled(ada);
        assert.ok(!ada.messages.some(({ _reqId }) => _reqId === 'stats'));
        assert.deepEqual((await entryOf(bob, scene.ada)).stats, stats);
    });

    test('what is wrong is refused and changes nothing', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        const refused = async (message, expected) => {
            const answer = await ada.request(message);
            assert.deepEqual([answer.type, answer.code], ['error', 'invalid_argument']);
            assert.equal(answer.message, expected);
        };
        const type = 'set_profile';
        const title = 'not taken';
        await refused({ type, title, bio: 'x'.repeat(1_025) }, 'bio is longer than 1024 bytes');
        await refused(
            { type, title, capabilities: Array(17).fill('x') },
            'capabilities has more than 16 elements',
        );
        await refused({ type, avatar: 1 }, 'avatar must be a string');
        await refused({ type: 'set_stats', stats: [] }, 'stats must be an object');
        await refused({ type: 'set_stats' }, 'stats must be an object');
        await refused(
            { type: 'set_stats', stats: { x: 'y'.repeat(1_024) } },
            'stats is longer than 1024 bytes',
        );
        const entry = await entryOf(ada, scene.ada);
        assert.deepEqual([entry.profile, entry.stats], [undefined, undefined]);
    });
});
