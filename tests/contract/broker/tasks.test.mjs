// create_task, claim_task, complete_task, list_tasks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onEachBroker, Scene } from '../../support/broker_scene.mjs';

onEachBroker('tasks', (context) => {
    const create = async (peer, more = {}) => {
        const answer = await peer.request({ type: 'create_task', title: 'a task', ...more });
        assert.equal(answer.type, 'task_created', JSON.stringify(answer));
        assert.match(answer.id, /^[A-Za-z0-9]{32}$/);
        return answer.id;
    };
    const claim = (peer, taskId) => peer.request({ type: 'claim_task', taskId });
    const complete = (peer, taskId, more = {}) =>
        peer.request({ type: 'complete_task', taskId, ...more });
    const list = async (peer, filter = {}) => {
        const answer = await peer.request({ type: 'list_tasks', ...filter });
        assert.equal(answer.type, 'task_list', JSON.stringify(answer));
        return answer.tasks;
    };
    const isAck = (answer, id) => {
        assert.deepEqual([answer.type, answer.messageId, answer.queued], ['ack', id, false]);
    };
    const isError = (answer, code) => {
        assert.deepEqual([answer.type, answer.code], ['error', code], JSON.stringify(answer));
    };

    test('open, claimed, done', async () => {
        const scene = await Scene.make(context, 'ada', 'bob', 'eve');
        const [ada, bob, eve] = await Promise.all(
            [scene.ada, scene.bob, scene.eve].map((member) => scene.peer(member)),
        );
        const id = await create(ada, { title: 'fix "it"', assignee: 'bob', tags: ['a', 'b'] });
        let [task] = await list(eve);
        assert.ok(Math.abs(Date.parse(task.createdAt) - Date.now()) < 60_000);
        assert.deepEqual(task, {
            id,
            title: 'fix "it"',
            assignee: 'bob',
            priority: 'normal',
            tags: ['a', 'b'],
            status: 'open',
            createdBy: 'ada',
            claimedBy: null,
            createdAt: task.createdAt,
            claimedAt: null,
            completedAt: null,
            result: null,
        });
        isError(await complete(bob, id), 'forbidden');
        isAck(await claim(bob, id), id);
        isError(await claim(eve, id), 'task_not_claimable');
        isError(await complete(eve, id, { result: 'mine' }), 'forbidden');
        isAck(await complete(bob, id, { result: 'done "well"' }), id);
        isError(await complete(bob, id), 'forbidden');
        [task] = await list(eve, { status: 'done' });
        assert.deepEqual(
            [task.status, task.claimedBy, task.result],
            ['done', 'bob', 'done "well"'],
        );
        assert.ok(Date.parse(task.completedAt) >= Date.parse(task.claimedAt));
    });

    test('of many who claim at once one gets it', async () => {
        const names = ['a', 'b', 'c', 'd', 'e', 'f'];
        const scene = await Scene.make(context, ...names);
        const peers = await Promise.all(names.map((name) => scene.peer(scene[name])));
        for (let round = 0; round < 5; round += 1) {
            const id = await create(peers[0]);
            const answers = await Promise.all(peers.map((peer) => claim(peer, id)));
            assert.equal(answers.filter(({ type }) => type === 'ack').length, 1);
            answers
                .filter(({ type }) => type === 'error')
                .forEach((answer) => isError(answer, 'task_not_claimable'));
        }
    });

    test('youngest first, by status and assignee, of one mesh, a hundred at most', async () => {
        const scene = await Scene.make(context, 'ada');
        const other = await Scene.make(context, 'eve');
        const ada = await scene.peer(scene.ada);
        const eve = await other.peer(other.eve);
        const first = await create(ada, { assignee: 'ada', priority: 'urgent' });
        const second = await create(ada);
        await claim(ada, first);
        const ids = async (peer, filter) => (await list(peer, filter)).map(({ id }) => id);
        assert.deepEqual((await ids(ada)).sort(), [first, second].sort());
        assert.deepEqual(await ids(ada, { status: 'open' }), [second]);
        assert.deepEqual(await ids(ada, { assignee: 'ada' }), [first]);
        assert.equal((await list(ada, { assignee: 'ada' }))[0].priority, 'urgent');
        assert.deepEqual(await ids(eve), []);
        isError(await claim(eve, second), 'task_not_found');
        isError(await complete(eve, second), 'task_not_found');
        for (let i = 0; i < 110; i += 1) {
            await create(ada, { title: `task ${i}` });
        }
        assert.equal((await ids(ada)).length, 100);
    });

    test('what is wrong is refused by name', async () => {
        const scene = await Scene.make(context, 'ada');
        const ada = await scene.peer(scene.ada);
        const refused = async (message, expected) => {
            const answer = await ada.request(message);
            isError(answer, 'invalid_argument');
            assert.equal(answer.message, expected);
        };
        await refused({ type: 'create_task' }, 'title is missing');
        await refused(
            { type: 'create_task', title: 'x'.repeat(1_025) },
            'title is longer than 1024 bytes',
        );
        const good = { type: 'create_task', title: 'x' };
        await refused({ ...good, tags: {} }, 'tags must be an array of strings');
        await refused({ ...good, priority: 1 }, 'priority must be a string');
        await refused({ type: 'claim_task' }, 'taskId is missing');
        await refused({ type: 'complete_task', taskId: 'x', result: 1 }, 'result must be a string');
        await refused(
            { type: 'list_tasks', status: 'lost' },
            'status must be open, claimed or done',
        );
        isError(await claim(ada, 'unknown'), 'task_not_found');
    });
});
