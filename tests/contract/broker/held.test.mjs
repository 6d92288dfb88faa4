// Status against priority: what a busy peer gets at once, and when it gets the rest.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delivered, onEachBroker, Scene, settled, texts } from '../../support/broker_scene.mjs';
import { until } from '../../support/server.mjs';

const kPriorities = ['low', 'next', 'now'];

async function hook(context, body) {
    const response = await fetch(`${context.server.url}/hook/set-status`, {
        method: 'POST',
        body: JSON.stringify(body),
    });
    return response.json();
}

onEachBroker('held envelopes', (context) => {
    let directories = 0;
    // Ada with a directory that is only hers, and Bob.
    const two = async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const cwd = `/held/${(directories += 1)}`;
        return [scene, await scene.peer(scene.ada, { cwd }), await scene.peer(scene.bob), cwd];
    };
    // Resolves with the ack of the last urgent one.
    const sendAll = async (bob, ada, mark) => {
        let last;
        for (const priority of kPriorities) {
            await bob.envelope(ada.key, `${mark} direct ${priority}`, { priority });
            last = await bob.envelope('*', `${mark} all ${priority}`, { priority });
        }
        return last;
    };
    const set = async (peer, status) => {
        peer.send({ type: 'set_status', status });
        await settled(peer);
    };
    const expectHeld = async (peer, mark) => {
        await peer.push(`${mark} all now`);
        await settled(peer);
        assert.deepEqual(texts(peer), [`${mark} direct now`, `${mark} all now`]);
    };
    const expectReleased = async (peer, mark) => {
        await peer.push(`${mark} all next`);
        assert.deepEqual(
            texts(peer).slice(2),
            ['low', 'next'].flatMap((p) => [`${mark} direct ${p}`, `${mark} all ${p}`]),
        );
    };

    test('idle: everything at once', async () => {
        const [, ada, bob] = await two();
        await sendAll(bob, ada, 'm');
        await ada.push('m all now');
        assert.equal(texts(ada).length, 6);
    });

    for (const status of ['dnd', 'working']) {
        test(`${status}: only what is urgent; idle releases the rest in order`, async () => {
            const [, ada, bob] = await two();
            await set(ada, status);
            await sendAll(bob, ada, 'm');
            await expectHeld(ada, 'm');
            ada.send({ type: 'set_status', status: 'idle' });
            await expectReleased(ada, 'm');
        });
    }

    test('a hook says working: held; a hook says idle: released', async () => {
        const [, ada, bob, cwd] = await two();
        assert.deepEqual(await hook(context, { cwd, status: 'working' }), {
            ok: true,
            presence_id: ada.ack.presenceId,
        });
        await sendAll(bob, ada, 'm');
        await expectHeld(ada, 'm');
        await hook(context, { cwd, status: 'idle' });
        await expectReleased(ada, 'm');
    });

    test('dnd is left by hand, not by a hook', async () => {
        const [, ada, bob, cwd] = await two();
        await set(ada, 'dnd');
        for (const status of ['idle', 'working', 'idle']) {
            const answer = await hook(context, { cwd, status });
            assert.deepEqual(answer, { ok: true, presence_id: ada.ack.presenceId });
        }
        const { peers } = await settled(bob);
        assert.equal(peers.find(({ pubkey }) => pubkey === ada.key).status, 'dnd');
        await sendAll(bob, ada, 'm');
        await expectHeld(ada, 'm');
        await set(ada, 'working');
        assert.equal(texts(ada).length, 2);
        ada.send({ type: 'set_status', status: 'idle' });
        await expectReleased(ada, 'm');
    });

    test('what waits for an absent peer follows its status, too', async () => {
        const [scene, ada, bob, cwd] = await two();
        await ada.close();
        await sendAll(bob, ada, 'm');
        const other = `${cwd}/again`;
        assert.deepEqual(await hook(context, { cwd: other, pid: 7, status: 'working' }), {
            ok: true,
            pending: true,
        });
        const back = await scene.peer(scene.ada, { cwd: other, hello: { pid: 7 } });
        await expectHeld(back, 'm');
        back.send({ type: 'set_status', status: 'idle' });
        await expectReleased(back, 'm');
    });

    test('held through a lost connection and a restart of the broker', async () => {
        const [scene, ada, bob] = await two();
        await set(ada, 'dnd');
        const urgent = await sendAll(bob, ada, 'm');
        await expectHeld(ada, 'm');
        await delivered(bob, urgent);
        await ada.cut();
        await context.backend.restart();
        const back = await scene.peer(scene.ada);
        await back.push('m all next');
        assert.deepEqual(texts(back), [
            ...['m direct low', 'm all low', 'm direct next', 'm all next'],
        ]);
    });

    test('a status that is none is refused and changes nothing', async () => {
        const [, ada] = await two();
        await set(ada, 'dnd');
        for (const status of ['away', '', 'IDLE', 5, null, undefined]) {
            const answer = await ada.request({ type: 'set_status', status });
            assert.deepEqual([answer.type, answer.code], ['error', 'invalid_argument']);
        }
        const { peers } = await settled(ada);
        assert.equal(peers.find(({ pubkey }) => pubkey === ada.key).status, 'dnd');
    });
});

onEachBroker(
    'a status that runs out',
    (context) => {
        test('working turns to idle, and what was held goes out', async () => {
            const scene = await Scene.make(context, 'ada', 'bob');
            const ada = await scene.peer(scene.ada);
            const bob = await scene.peer(scene.bob);
            ada.send({ type: 'set_status', status: 'working' });
            await settled(ada);
            await bob.envelope(ada.key, 'held');
            await ada.push('held', 60_000);
            await until(async () => {
                const { peers } = await settled(bob);
                return peers.find(({ pubkey }) => pubkey === ada.key).status === 'idle';
            });
        });
    },
    { env: { STATUS_TTL_SECONDS: '1' } },
);
