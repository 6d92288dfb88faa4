// hello: who is let in, and how everybody else is told why not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freshTime, peerKeys } from '../../support/broker_peer.mjs';
import { expectRefused, onEachBroker, sample, Scene } from '../../support/broker_scene.mjs';

onEachBroker('hello', (context) => {
    const ada = async () => {
        const scene = await Scene.make(context, 'ada');
        return [scene, await scene.stranger(scene.ada)];
    };

    test('the ack names the presence and the member', async () => {
        const [scene, peer] = await ada();
        const ack = await peer.hello();
        assert.match(ack.presenceId, /^[A-Za-z0-9]{32}$/);
        assert.deepEqual(ack, {
            type: 'hello_ack',
            presenceId: ack.presenceId,
            memberDisplayName: 'ada',
        });
        const named = await scene.peer(scene.ada, { hello: { displayName: 'ada at home' } });
        assert.equal(named.ack.memberDisplayName, 'ada at home');
        assert.notEqual(named.ack.presenceId, ack.presenceId);
    });

    test('_reqId is echoed', async () => {
        const [, peer] = await ada();
        assert.equal((await peer.hello({ _reqId: 'first "one"' }))._reqId, 'first "one"');
    });

    test('what a peer says of itself is shown to others', async () => {
        const [scene, peer] = await ada();
        const session = peerKeys();
        await peer.hello({
            sessionPubkey: session.hex,
            sessionId: 'window 3',
            cwd: '/home/ada',
            hostname: 'desk',
            peerType: 'ai',
            channel: 'stdio',
            model: 'a model',
            groups: [{ name: 'front', role: 'lead' }, { name: 'all-day' }],
            protocolVersion: 3,
            capabilities: ['x'],
            somethingNew: { deep: [1, 2.5] },
        });
        const { peers } = await peer.request({ type: 'list_peers' });
        assert.equal(peers.length, 1);
        const [{ connectedAt, ...shown }] = peers;
        assert.ok(Math.abs(Date.parse(connectedAt) - Date.now()) < 60_000);
        assert.deepEqual(shown, {
            pubkey: session.hex,
            memberPubkey: scene.ada.keys.hex,
            displayName: 'ada',
            status: 'idle',
            summary: null,
            groups: [{ name: 'front', role: 'lead' }, { name: 'all-day' }],
            sessionId: 'window 3',
            cwd: '/home/ada',
            hostname: 'desk',
            peerType: 'ai',
            channel: 'stdio',
            model: 'a model',
            visible: true,
        });
    });

    test('cwd, pid and sessionId may be missing', async () => {
        const [, peer] = await ada();
        const ack = await peer.hello({ cwd: undefined, pid: undefined, sessionId: undefined });
        assert.equal(ack.type, 'hello_ack');
    });

    test('a binary frame is as good as a text frame', async () => {
        const [, peer] = await ada();
        peer.socket.send(Buffer.from(JSON.stringify(peer.helloMessage())), { binary: true });
        await peer.next((m) => m.type === 'hello_ack');
    });

    // The way to the broker makes every hello older: where that could change the outcome there is
    // room for half a minute. handshake_test.cc has the limits to the millisecond.
    test('hellos within a minute pass in both directions, others do not', async () => {
        const scene = await Scene.make(context, 'ada');
        for (const skew of [-30_000, 59_000]) {
            const peer = await scene.stranger(scene.ada);
            await peer.hello({ timestamp: freshTime() + skew });
        }
        for (const skew of [-61_500, 91_500]) {
            const peer = await scene.stranger(scene.ada);
            await expectRefused(
                context,
                peer,
                peer.helloMessage({ timestamp: freshTime() + skew }),
                { code: 'timestamp_skew' },
            );
        }
    });

    test('no timestamp is skew', async () => {
        const [, peer] = await ada();
        const message = { ...peer.helloMessage(), timestamp: undefined };
        await expectRefused(context, peer, message, { code: 'timestamp_skew' });
    });

    for (const [name, change] of Object.entries({
        'a key of 63 characters': (m) => ({ pubkey: m.pubkey.slice(1) }),
        'a key that is no hex': () => ({ pubkey: 'z'.repeat(64) }),
        'no key': () => ({ pubkey: undefined }),
        'a signature of 127 characters': (m) => ({ signature: m.signature.slice(1) }),
        'a signature that is no hex': () => ({ signature: 'g'.repeat(128) }),
        'no signature': () => ({ signature: undefined }),
        'a member id with a separator': (m) => ({ memberId: `${m.memberId}|` }),
        'a mesh id with a separator': (m) => ({ meshId: `${m.meshId}|` }),
    })) {
        test(`malformed: ${name}`, async () => {
            const [, peer] = await ada();
            const message = peer.helloMessage();
            const error = await expectRefused(
                context,
                peer,
                { ...message, ...change(message) },
                { code: 'malformed' },
            );
            assert.equal(error.message, 'hello rejected: malformed');
        });
    }

    test('bad_signature: signed by another key, or over another field', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const changes = [
            (m) => ({ signature: scene.bob.keys.sign('anything') }),
            (m) => ({ pubkey: scene.bob.keys.hex }),
            (m) => ({ memberId: scene.bob.id }),
            (m) => ({ timestamp: m.timestamp + 1 }),
        ];
        for (const change of changes) {
            const peer = await scene.stranger(scene.ada);
            const message = peer.helloMessage();
            await expectRefused(
                context,
                peer,
                { ...message, ...change(message) },
                { code: 'bad_signature' },
            );
        }
    });

    test('bad_session_pubkey: too short, upper case, no hex', async () => {
        const scene = await Scene.make(context, 'ada');
        for (const sessionPubkey of ['ab', peerKeys().hex.toUpperCase(), 'x'.repeat(64)]) {
            const peer = await scene.stranger(scene.ada);
            await expectRefused(context, peer, peer.helloMessage({ sessionPubkey }), {
                code: 'bad_session_pubkey',
            });
        }
    });

    test('unauthorized: an unknown key, an unknown mesh, a key of another mesh', async () => {
        const here = await Scene.make(context, 'ada');
        const there = await Scene.make(context, 'bob');
        const unknown = { ...here.ada, keys: peerKeys() };
        const nowhere = { ...here.ada, mesh: { id: 'A'.repeat(32) } };
        const elsewhere = { ...there.bob, mesh: here.mesh };
        for (const member of [unknown, nowhere, elsewhere]) {
            const peer = await here.stranger(member);
            const error = await expectRefused(context, peer, peer.helloMessage(), {
                code: 'unauthorized',
            });
            assert.equal(error.message, 'key not in mesh');
        }
    });

    test('unauthorized: the right key in upper case, as no member has it', async () => {
        const [scene, peer] = await ada();
        const loud = scene.ada.keys.hex.toUpperCase();
        const { id } = scene.ada;
        const timestamp = freshTime();
        const message = peer.helloMessage({
            pubkey: loud,
            timestamp,
            signature: scene.ada.keys.sign(`${scene.mesh.id}|${id}|${loud}|${timestamp}`),
        });
        await expectRefused(context, peer, message, { code: 'unauthorized' });
    });

    test('replayed: the same hello again, by anybody', async () => {
        const [scene, peer] = await ada();
        const message = peer.helloMessage();
        peer.send(message);
        await peer.next((m) => m.type === 'hello_ack');
        await expectRefused(context, await scene.stranger(scene.ada), message, {
            code: 'replayed',
        });
        await peer.close();
        await expectRefused(context, await scene.stranger(scene.ada), message, {
            code: 'replayed',
        });
    });

    test('a refused hello is not used up', async () => {
        const [scene, peer] = await ada();
        const message = peer.helloMessage();
        await expectRefused(context, peer, { ...message, meshId: 'nowhere' }, {
            code: 'bad_signature',
        });
        const again = await scene.stranger(scene.ada);
        again.send(message);
        await again.next((m) => m.type === 'hello_ack');
    });

    test('a second hello changes nothing', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const peer = await scene.peer(scene.ada);
        peer.send(peer.helloMessage());
        const error = await peer.next((m) => m.type === 'error');
        assert.equal(error.code, 'already_connected');
        const { peers } = await peer.request({ type: 'list_peers' });
        assert.equal(peers.length, 1);
        const bob = await scene.peer(scene.bob);
        await bob.envelope(scene.ada.keys.hex, 'still there');
        await peer.push('still there');
    });

    test('two hellos at once make one presence', async () => {
        const [scene, peer] = await ada();
        peer.send(peer.helloMessage());
        peer.send(peer.helloMessage());
        await peer.next((m) => m.type === 'hello_ack');
        assert.equal((await peer.next((m) => m.type === 'error')).code, 'already_connected');
        const { peers } = await peer.request({ type: 'list_peers' });
        assert.equal(peers.length, 1);
    });

    test('anything before hello is answered with no_hello; hello is still possible', async () => {
        const [, peer] = await ada();
        for (const type of ['send', 'list_peers', 'set_status', 'unheard_of']) {
            const error = await peer.request({ type, id: 'my id', targetSpec: '*' });
            assert.deepEqual([error.type, error.code, error.id], ['error', 'no_hello', 'my id']);
        }
        await peer.hello();
    });

    test('fields of a wrong type are refused, the socket stays open', async () => {
        const [, peer] = await ada();
        const wrong = [
            { meshId: 5 },
            { meshId: '' },
            { pid: '12' },
            { pid: 1.5 },
            { cwd: ['/'] },
            { groups: 'front' },
            { timestamp: 'now' },
            { displayName: 'n'.repeat(257) },
        ];
        for (const [i, change] of wrong.entries()) {
            const series = 'broker_messages_rejected_total{reason="parse_or_handler"}';
            const before = await sample(context, series);
            const error = await peer.request({ ...peer.helloMessage(), ...change });
            assert.equal(error.code, 'invalid_argument', `case ${i}`);
            assert.equal(await sample(context, series), before + 1);
        }
        await peer.hello();
    });

    test('malformed messages get no answer, are counted, and close nothing', async () => {
        const scene = await Scene.make(context, 'ada');
        const peer = await scene.peer(scene.ada);
        const series = 'broker_messages_rejected_total{reason="parse_or_handler"}';
        const before = await sample(context, series);
        const malformed = ['{', '', 'null', '[]', '"hello"', '{"type":5}', '{"x":1}', '{"type":""}'];
        malformed.push('['.repeat(10_000), '{"type":"list_peers","type":'.padEnd(500, '{'));
        malformed.forEach((text) => peer.socket.send(text));
        const answer = await peer.request({ type: 'list_peers' });
        assert.equal(answer.type, 'peers_list');
        assert.equal(peer.messages.length, 2, 'the ack of hello and the list');
        assert.equal(await sample(context, series), before + malformed.length);
    });

    test('unknown types are ignored', async () => {
        const scene = await Scene.make(context, 'ada');
        const peer = await scene.peer(scene.ada);
        peer.send({ type: 'vector_search', _reqId: 'never answered' });
        await peer.request({ type: 'list_peers' });
        assert.equal(peer.messages.length, 2);
    });

    test('a message over MAX_MESSAGE_BYTES closes 1009; one of just that size does not', async () => {
        const scene = await Scene.make(context, 'ada');
        const peer = await scene.peer(scene.ada);
        const request = (size) => {
            const text = JSON.stringify({ type: 'list_peers', _reqId: 'x', pad: '' });
            return text.replace('"pad":""', `"pad":"${'p'.repeat(size - text.length)}"`);
        };
        peer.socket.send(request(65_536));
        await peer.next((m) => m._reqId === 'x');
        peer.socket.send(request(65_537));
        assert.equal((await peer.closed).code, 1009);
    });

    test('an oversized message before hello closes 1009 too', async () => {
        const [, peer] = await ada();
        peer.socket.send('x'.repeat(70_000));
        assert.equal((await peer.closed).code, 1009);
    });
});

onEachBroker(
    'capacity',
    (context) => {
        test('a full mesh refuses with 1008; whoever has a place keeps it', async () => {
            const scene = await Scene.make(context, 'ada', 'bob', 'cyd');
            const ada = await scene.peer(scene.ada);
            await scene.peer(scene.bob);
            const cyd = await scene.stranger(scene.cyd);
            const error = await expectRefused(context, cyd, cyd.helloMessage(), {
                code: 'capacity',
            });
            assert.equal(error.message, 'mesh full');
            const warned = await context.server.waitForLog(({ msg }) => msg === 'mesh at capacity');
            assert.deepEqual(
                [warned.level, warned.mesh_id, warned.existing, warned.cap],
                ['warn', scene.mesh.id, 2, 2],
            );
            // Whoever has a place keeps it, also over a new connection.
            await scene.peer(scene.ada, { sessionId: ada.sessionId });
            assert.deepEqual(await ada.closed, { code: 1000, reason: 'session_replaced' });
        });

        test('meshes do not share their capacity', async () => {
            const one = await Scene.make(context, 'ada', 'bob');
            const two = await Scene.make(context, 'cyd');
            await one.peer(one.ada);
            await one.peer(one.bob);
            await two.peer(two.cyd);
        });

        test('hellos at the same time do not overfill a mesh', async () => {
            const names = ['a', 'b', 'c', 'd', 'e', 'f'];
            const scene = await Scene.make(context, ...names);
            const outcomes = await Promise.all(
                names.map((name) =>
                    scene.peer(scene[name]).then(
                        () => 'in',
                        (error) => error.answer?.code ?? String(error),
                    ),
                ),
            );
            assert.deepEqual(outcomes.sort(), [...Array(4).fill('capacity'), 'in', 'in']);
        });
    },
    { env: { MAX_CONNECTIONS_PER_MESH: '2' } },
);
