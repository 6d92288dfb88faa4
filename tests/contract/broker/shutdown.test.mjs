// SIGTERM and SIGINT: sockets close with 1001, what was acknowledged is kept, the exit is clean and
// quick, also when the database is away or a peer does not read.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BrokerAdmin } from '../../support/broker_peer.mjs';
import { onEachBroker, sample, Scene } from '../../support/broker_scene.mjs';
import { outagesMissing } from '../../support/outages.mjs';
import { Postgres } from '../../support/postgres.mjs';
import { Server, until } from '../../support/server.mjs';
import { kBrokerAdminToken } from '../../support/stores.mjs';
import { rawConnect } from '../../support/ws_echo.mjs';

// The broker gives itself 5 s; a machine that is busy with other things, more.
const kGraceMs = 30_000;
const kGone = { code: 1001, reason: 'shutting down' };

// Ends the server by a signal, in time and as every peer should see it.
async function end(server, signal, peers) {
    const start = Date.now();
    server.child.kill(signal);
    const ends = await Promise.all(peers.map((peer) => peer.closed));
    const exit = await server.exited;
    const took = Date.now() - start;
    assert.deepEqual(exit, { code: 0, signal: null }, server.logTail());
    ends.forEach((seen) => assert.deepEqual(seen, kGone));
    assert.ok(took < kGraceMs, `it took ${took} ms`);
}

onEachBroker('shutting down', (context) => {
    for (const signal of ['SIGTERM', 'SIGINT']) {
        test(`${signal}: 1001 for everyone, exit 0, both log events`, async () => {
            const scene = await Scene.make(context, 'ada', 'bob');
            const peers = [
                await scene.peer(scene.ada),
                await scene.peer(scene.bob),
                await scene.stranger(scene.bob),
            ];
            const { server } = context;
            await end(server, signal, peers);
            const line = (msg) => server.log.findIndex(({ json }) => json?.msg === msg);
            assert.ok(line('shutdown signal') >= 0, server.logTail());
            assert.ok(line('shutdown complete') > line('shutdown signal'), server.logTail());
            await server.launch();
            context.backend.connect();
        });
    }

    test('in the middle of a stream: what was acknowledged arrives after the start', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        for (let i = 0; i < 150; i += 1) {
            bob.send({
                type: 'send',
                id: `s${i}`,
                targetSpec: i % 10 === 0 ? '*' : ada.key,
                nonce: '',
                ciphertext: `text ${i}`,
            });
        }
        await bob.next((m) => m.type === 'ack' && m.id === 's20');
        await end(context.server, 'SIGTERM', [ada, bob]);
        const acknowledged = bob.messages.filter((m) => m.type === 'ack' && m.queued);
        await context.server.launch();
        context.backend.connect();
        const back = await scene.peer(scene.ada);
        const got = () =>
            new Set([...ada.pushes(), ...back.pushes()].map(({ messageId }) => messageId));
        await until(() => acknowledged.every(({ messageId }) => got().has(messageId)), {
            what: 'every acknowledged envelope has arrived',
        });
        await back.close();
    });

    test('a peer that does not read holds nothing up', async () => {
        const peer = rawConnect(context.server.port);
        assert.equal((await peer.head()).status, 101);
        peer.socket.pause();
        await end(context.server, 'SIGTERM', []);
        peer.socket.destroy();
        await context.server.launch();
        context.backend.connect();
        assert.equal(await sample(context, 'broker_db_healthy'), 1);
    });
});

describe('shutting down while PostgreSQL is down', { skip: outagesMissing() }, () => {
    test('1001 and exit 0 all the same', async (t) => {
        const postgres = await Postgres.start();
        t.after(() => postgres.finish());
        const server = await Server.start({
            services: ['broker'],
            env: {
                DATABASE_URL: await postgres.createDatabase(),
                BROKER_ADMIN_TOKEN: kBrokerAdminToken,
            },
        });
        t.after(() => server.dispose());
        const context = { server, admin: new BrokerAdmin(server.url, kBrokerAdminToken) };
        const scene = await Scene.make(context, 'ada', 'bob');
        const peers = [await scene.peer(scene.ada), await scene.peer(scene.bob)];
        await peers[0].envelope('*', 'before');
        await postgres.down();
        await until(async () => (await sample(context, 'broker_db_healthy')) === 0);
        for (let i = 0; i < 5; i += 1) {
            peers[0].send({ type: 'send', targetSpec: '*', nonce: '', ciphertext: 'lost' });
        }
        await end(server, 'SIGTERM', peers);
    });
});
