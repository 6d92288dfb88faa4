// share_skill, get_skill, list_skills, remove_skill; share_context, get_context, list_contexts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onEachBroker, Scene } from '../../support/broker_scene.mjs';

const isError = (answer, code) =>
    assert.deepEqual([answer.type, answer.code], ['error', code], JSON.stringify(answer));
const isRecent = (time) => assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000, time);

onEachBroker('skills', (context) => {
    const skill = (name, more = {}) => ({
        type: 'share_skill',
        name,
        description: `about ${name}`,
        instructions: `1. do "${name}"\n2. done`,
        ...more,
    });
    const get = async (peer, name) => {
        const answer = await peer.request({ type: 'get_skill', name });
        assert.equal(answer.type, 'skill_data', JSON.stringify(answer));
        return answer.skill;
    };
    const list = async (peer, query) => {
        const answer = await peer.request({ type: 'list_skills', query });
        assert.equal(answer.type, 'skill_list');
        return answer.skills;
    };

    test('shared, read, listed, removed', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        const ack = await ada.request(skill('code review', { tags: ['c++'] }));
        assert.deepEqual([ack.type, ack.name, ack.action], ['skill_ack', 'code review', 'shared']);
        const { createdAt, updatedAt, ...rest } = await get(bob, 'code review');
        isRecent(createdAt);
        isRecent(updatedAt);
        assert.deepEqual(rest, {
            name: 'code review',
            description: 'about code review',
            instructions: '1. do "code review"\n2. done',
            tags: ['c++'],
            author: 'ada',
        });
        await bob.request(skill('deploy'));
        const names = async (query) => (await list(ada, query)).map(({ name }) => name);
        assert.deepEqual(await names(), ['code review', 'deploy']);
        assert.deepEqual(await names('C++ review'), ['code review']);
        assert.deepEqual(await names('nothing'), []);
        assert.ok((await list(ada)).every((entry) => !('instructions' in entry)));
        assert.equal(await get(ada, 'unknown'), null);
        const removed = await ada.request({ type: 'remove_skill', name: 'code review' });
        assert.deepEqual([removed.type, removed.action], ['skill_ack', 'removed']);
        assert.equal(await get(bob, 'code review'), null);
        isError(await ada.request({ type: 'remove_skill', name: 'code review' }), 'not_found');
    });

    test('nobody but its author or an admin replaces a skill', async () => {
        const scene = await Scene.make(context, 'ada', 'eve');
        scene.root = await context.admin.member(scene.mesh, 'root', { role: 'admin' });
        const [ada, eve, root] = await Promise.all(
            [scene.ada, scene.eve, scene.root].map((member) => scene.peer(member)),
        );
        await ada.request(skill('review'));
        isError(await eve.request(skill('review', { instructions: 'rm -rf /' })), 'forbidden');
        isError(await eve.request({ type: 'remove_skill', name: 'review' }), 'forbidden');
        assert.equal((await get(eve, 'review')).author, 'ada');
        const renewed = await ada.request(skill('review', { description: 'new' }));
        assert.equal(renewed.type, 'skill_ack');
        assert.equal((await get(eve, 'review')).description, 'new');
        assert.equal((await root.request(skill('review'))).type, 'skill_ack');
        assert.equal((await get(eve, 'review')).author, 'root');
        assert.equal(
            (await root.request({ type: 'remove_skill', name: 'review' })).type,
            'skill_ack',
        );
    });

    test('a mesh sees only its own, and what is wrong is refused', async () => {
        const scene = await Scene.make(context, 'ada');
        const other = await Scene.make(context, 'eve');
        const ada = await scene.peer(scene.ada);
        const eve = await other.peer(other.eve);
        await ada.request(skill('review'));
        assert.equal(await get(eve, 'review'), null);
        assert.deepEqual(await list(eve), []);
        isError(await eve.request({ type: 'remove_skill', name: 'review' }), 'not_found');
        for (const bad of [
            skill(''),
            skill('a\nb'),
            skill('x', { description: '' }),
            skill('x', { instructions: 7 }),
            skill('x', { tags: 'x' }),
            skill('x', { instructions: 'x'.repeat(48 * 1024 + 1) }),
            { type: 'get_skill' },
            { type: 'remove_skill', name: ['x'] },
            { type: 'list_skills', query: 'x'.repeat(257) },
        ]) {
            isError(await ada.request(bad), 'invalid_argument');
        }
    });
});

onEachBroker('context', (context) => {
    test('one snapshot per member, found by its words', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        const share = (peer, summary, more = {}) =>
            peer.request({ type: 'share_context', summary, ...more });
        const find = async (peer, query) => {
            const answer = await peer.request({ type: 'get_context', query });
            assert.equal(answer.type, 'context_results', JSON.stringify(answer));
            return answer.contexts;
        };
        const shared = await share(ada, 'Fixing the parser', {
            filesRead: ['src/parser.cc'],
            keyFindings: ['it "leaks"'],
            tags: ['c++'],
        });
        assert.deepEqual([shared.type, shared.id], ['context_shared', scene.ada.id]);
        const [{ updatedAt, ...rest }] = await find(bob, 'PARSER c++');
        isRecent(updatedAt);
        assert.deepEqual(rest, {
            peerName: 'ada',
            memberId: scene.ada.id,
            summary: 'Fixing the parser',
            tags: ['c++'],
            filesRead: ['src/parser.cc'],
            keyFindings: ['it "leaks"'],
        });
        await share(bob, 'Reading');
        await share(ada, 'Lunch');
        assert.deepEqual(await find(bob, 'parser'), []);
        const list = await bob.request({ type: 'list_contexts' });
        assert.equal(list.type, 'context_list');
        assert.deepEqual(
            list.contexts.map(({ peerName, summary }) => [peerName, summary]),
            [
                ['ada', 'Lunch'],
                ['bob', 'Reading'],
            ],
        );
        const other = await Scene.make(context, 'eve');
        const eve = await other.peer(other.eve);
        assert.deepEqual(await find(eve, 'lunch'), []);
        assert.deepEqual((await eve.request({ type: 'list_contexts' })).contexts, []);
    });

    test('what is wrong is refused', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        for (const bad of [
            { type: 'share_context' },
            { type: 'share_context', summary: 'x'.repeat(8_193) },
            { type: 'share_context', summary: 'x', filesRead: 'x' },
            { type: 'share_context', summary: 'x', filesRead: Array(201).fill('x') },
            { type: 'share_context', summary: 'x', keyFindings: [{}] },
            { type: 'get_context' },
        ]) {
            isError(await ada.request(bad), 'invalid_argument');
        }
        assert.deepEqual((await ada.request({ type: 'list_contexts' })).contexts, []);
    });
});
