// Coming back: the lease on a presence, whose session key is whose, and no ghosts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peerKeys } from '../../support/broker_peer.mjs';
import {
    expectRefused,
    onEachBroker,
    Scene,
    sessionHello,
    settled,
    texts,
} from '../../support/broker_scene.mjs';
import { until } from '../../support/server.mjs';

// The broker has noticed that the peer's socket is gone.
const left = (context, peer) =>
    context.server.waitForLog(
        (line) => line.msg === 'ws close' && line.presence_id === peer.ack.presenceId,
    );

onEachBroker('reconnect', (context) => {
    const cutOff = async (peer) => {
        await peer.cut();
        await left(context, peer);
    };

    test('the same session key goes on as the same presence', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const session = peerKeys();
        const bob = await scene.peer(scene.bob);
        const before = await scene.peer(scene.ada, { session });
        before.send({ type: 'set_summary', summary: 'reading' });
        before.send({ type: 'join_group', name: 'front' });
        await settled(before);
        await cutOff(before);
        // Within its lease it still shows.
        assert.equal((await settled(bob)).peers.length, 2);
        await bob.envelope(session.hex, 'while away');
        const after = await scene.peer(scene.ada, { session });
        assert.equal(after.ack.presenceId, before.ack.presenceId);
        assert.equal(after.ack.restored, true);
        await after.push('while away');
        const { peers } = await settled(after);
        assert.equal(peers.length, 2);
        const self = peers.find(({ pubkey }) => pubkey === session.hex);
        assert.equal(self.summary, 'reading');
        assert.deepEqual(self.groups, [{ name: 'front' }]);
    });

    test('without a session key the session id does, for the same key', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const before = await scene.peer(scene.ada, { sessionId: 'one' });
        await cutOff(before);
        const other = await scene.peer(scene.bob, { sessionId: 'one' });
        assert.notEqual(other.ack.presenceId, before.ack.presenceId);
        const fresh = await scene.peer(scene.ada, { sessionId: 'two' });
        assert.notEqual(fresh.ack.presenceId, before.ack.presenceId);
        const after = await scene.peer(scene.ada, { sessionId: 'one' });
        assert.equal(after.ack.presenceId, before.ack.presenceId);
    });

    test('no ghost: another session of the member gets its messages at once', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const bob = await scene.peer(scene.bob);
        const gone = await scene.peer(scene.ada, { session: peerKeys() });
        await cutOff(gone);
        const sent = [];
        for (let i = 0; i < 8; i += 1) {
            sent.push(`m${i}`);
            await bob.envelope(scene.ada.keys.hex, `m${i}`);
        }
        const back = await scene.peer(scene.ada, { session: peerKeys() });
        for (let i = 8; i < 16; i += 1) {
            sent.push(`m${i}`);
            await bob.envelope(scene.ada.keys.hex, `m${i}`);
        }
        await back.push('m15');
        assert.deepEqual(texts(back), sent);
    });

    test('no ghost: pushed into a connection that was dead already', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const bob = await scene.peer(scene.bob);
        const deaf = await scene.peer(scene.ada, { session: peerKeys(), autoPong: false });
        await bob.envelope(scene.ada.keys.hex, 'into the void');
        await deaf.push('into the void');
        const back = await scene.peer(scene.ada, { session: peerKeys() });
        await cutOff(deaf);
        await back.push('into the void');
    });

    test('a new connection of a session replaces the old one: 1000 session_replaced', async () => {
        const scene = await Scene.make(context, 'ada');
        for (const session of [peerKeys(), undefined]) {
            const first = await scene.peer(scene.ada, { session, sessionId: 'the same' });
            const second = await scene.peer(scene.ada, { session, sessionId: 'the same' });
            assert.deepEqual(await first.closed, { code: 1000, reason: 'session_replaced' });
            assert.equal(second.ack.presenceId, first.ack.presenceId);
            await second.close();
        }
    });

    test('a session id replaces also when the session key is another', async () => {
        const scene = await Scene.make(context, 'ada');
        const first = await scene.peer(scene.ada, { session: peerKeys(), sessionId: 'one' });
        const second = await scene.peer(scene.ada, { session: peerKeys(), sessionId: 'one' });
        assert.deepEqual(await first.closed, { code: 1000, reason: 'session_replaced' });
        assert.notEqual(second.ack.presenceId, first.ack.presenceId);
        assert.equal((await settled(second)).peers.length, 1);
    });

    test('the session id of another member replaces nobody', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada, { sessionId: 'one' });
        await scene.peer(scene.bob, { sessionId: 'one' });
        assert.equal((await settled(ada)).peers.length, 2);
    });

    test('sessions of one member live side by side', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const sessions = [peerKeys(), peerKeys()];
        const peers = [];
        for (const session of sessions) {
            peers.push(await scene.peer(scene.ada, { session }));
        }
        const bob = await scene.peer(scene.bob);
        await bob.envelope(sessions[0].hex, 'first');
        await bob.envelope(sessions[1].hex, 'second');
        await bob.envelope('*', 'both');
        for (const [i, own] of ['first', 'second'].entries()) {
            await peers[i].push('both');
            assert.deepEqual(texts(peers[i]), [own, 'both']);
        }
    });

    test("a session key that is another's is refused, connected or not", async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const session = peerKeys();
        const ada = await scene.peer(scene.ada, { session });
        const steal = async () => {
            const thief = await scene.stranger(scene.bob);
            await expectRefused(
                context,
                thief,
                thief.helloMessage({ sessionPubkey: session.hex }),
                { code: 'bad_session_pubkey' },
            );
        };
        await steal();
        await cutOff(ada);
        await steal();
        await context.backend.restart();
        await steal();
        // Nor may a member's own key be used as a session's.
        const thief = await scene.stranger(scene.bob);
        await expectRefused(
            context,
            thief,
            thief.helloMessage({ sessionPubkey: scene.ada.keys.hex }),
            { code: 'bad_session_pubkey' },
        );
        const back = await scene.peer(scene.ada, { session });
        assert.equal(back.ack.type, 'hello_ack');
    });

    test('a session may come back by the other kind of hello', async () => {
        const scene = await Scene.make(context, 'ada');
        const session = peerKeys();
        const before = await scene.peer(scene.ada, { session });
        await cutOff(before);
        const after = await scene.stranger(scene.ada);
        after.send(sessionHello(scene.ada, session));
        const ack = await after.next((m) => m.type === 'hello_ack');
        assert.equal(ack.presenceId, before.ack.presenceId);
    });

    test('cut in the middle of a stream: all of it arrives, in order', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const session = peerKeys();
        const bob = await scene.peer(scene.bob);
        const got = [];
        let ada = await scene.peer(scene.ada, { session, autoPong: false });
        const all = Array.from({ length: 120 }, (_, i) => `m${String(i).padStart(3, '0')}`);
        for (const [i, text] of all.entries()) {
            bob.send({
                type: 'send',
                targetSpec: session.hex,
                priority: 'next',
                nonce: '',
                ciphertext: text,
            });
            if (i % 30 === 29) {
                await bob.request({ type: 'list_peers' });
                await ada.cut();
                got.push(texts(ada));
                ada = await scene.peer(scene.ada, { session, autoPong: i > 60 });
            }
        }
        // The last may have arrived, and have been answered, before the last cut.
        const seen = () => [...new Set([...got.flat(), ...texts(ada)])];
        await until(() => seen().length === all.length, { what: 'all of them' });
        got.push(texts(ada));
        for (const run of got) {
            assert.deepEqual(run, [...run].sort(), 'in order within each connection');
        }
        assert.deepEqual([...new Set(got.flat())].sort(), all);
    });
});

onEachBroker(
    'without a lease',
    (context) => {
        test('who is gone is gone', async () => {
            const scene = await Scene.make(context, 'ada', 'bob');
            const session = peerKeys();
            const bob = await scene.peer(scene.bob);
            const before = await scene.peer(scene.ada, { session });
            await before.cut();
            await left(context, before);
            assert.equal((await settled(bob)).peers.length, 1);
            await bob.envelope('*', 'to all');
            await bob.envelope(session.hex, 'to the session');
            const after = await scene.peer(scene.ada, { session });
            assert.notEqual(after.ack.presenceId, before.ack.presenceId);
            await after.push('to the session');
            await after.push('to all');
        });
    },
    { env: { BROKER_RECONNECT_LEASE_SECONDS: '0' } },
);
