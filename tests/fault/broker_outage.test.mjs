// PostgreSQL goes away and comes back while peers are connected (NAVE_BROKER_OUTAGE_SECONDS, 15 by
// default): their sockets stay open, /health says degraded, what cannot be stored is refused in
// time and in both dialects, and afterwards nothing acknowledged is missing.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { Account, Courier } from '../support/broker_courier.mjs';
import { BrokerAdmin, peerKeys } from '../support/broker_peer.mjs';
import { sample, Scene } from '../support/broker_scene.mjs';
import { onEachOutage, outagesMissing } from '../support/outages.mjs';
import { kDatabasePassword } from '../support/postgres.mjs';
import { Server, until } from '../support/server.mjs';
import { kBrokerAdminToken } from '../support/stores.mjs';

const kOutageSeconds = Number(process.env.NAVE_BROKER_OUTAGE_SECONDS ?? 15);
const kAnswerMs = 15_000;
const kNames = ['ada', 'bob', 'cyd', 'dan'];

async function startBroker(postgres) {
    const server = await Server.start({
        services: ['broker'],
        env: {
            DATABASE_URL: await postgres.createDatabase(),
            BROKER_ADMIN_TOKEN: kBrokerAdminToken,
            BROKER_SEND_LIMIT: '100000/s:100000',
        },
    });
    return { server, admin: new BrokerAdmin(server.url, kBrokerAdminToken) };
}

const health = async ({ server }) => {
    const response = await fetch(`${server.url}/health`);
    return { status: response.status, body: await response.json() };
};

// Asks one peer for everything that needs the database: each answer is an error, in time.
async function expectRefusals(peer) {
    const start = Date.now();
    const envelope = await peer.envelope('*', 'nobody stores this', { _reqId: 'refused' });
    assert.deepEqual([envelope.type, envelope.code], ['error', 'busy']);
    assert.ok(envelope.message.length > 0);
    const ack = await peer.next((m) => m.type === 'ack' && m.id === envelope.id);
    assert.deepEqual(ack, {
        type: 'ack',
        _reqId: 'refused',
        id: envelope.id,
        messageId: '',
        queued: false,
        error: ack.error,
    });
    assert.ok(ack.error.length > 0);
    const requests = [
        { type: 'get_state', key: 'k' },
        { type: 'set_state', key: 'k', value: 1 },
        { type: 'list_state' },
        { type: 'message_status', messageId: 'A'.repeat(32) },
    ];
    for (const request of requests) {
        const answer = await peer.request(request);
        assert.equal(answer.type, 'error', JSON.stringify(answer));
        assert.doesNotMatch(JSON.stringify(answer), /postgres|libpq|127\.0\.0\.1/i);
    }
    assert.ok(Date.now() - start < 5 * kAnswerMs);
    // What needs no database is answered as ever.
    const { peers } = await peer.request({ type: 'list_peers' });
    assert.ok(peers.length >= kNames.length);
    peer.send({ type: 'set_status', status: 'dnd' });
    const self = (await peer.request({ type: 'list_peers' })).peers.find(
        ({ pubkey }) => pubkey === peer.key,
    );
    assert.equal(self.status, 'dnd');
    peer.send({ type: 'set_status', status: 'idle' });
}

async function scenario(postgres, t, goDown) {
    const context = await startBroker(postgres);
    const { server } = context;
    const scene = await Scene.make(context, ...kNames, 'eve', 'fay');
    const account = new Account();
    t.after(() => account.end());
    kNames.forEach((name, i) => {
        new Courier(context, account, scene[name], {
            acks: i % 2 === 0,
            session: i >= 2 ? peerKeys() : undefined,
            window: 4,
            pauseMs: 5,
            target: (n) =>
                n % 7 === 0
                    ? { spec: '*', to: account.couriers.filter((_, k) => k !== i) }
                    : {
                          spec: account.couriers[(i + 1) % kNames.length].key,
                          to: [account.couriers[(i + 1) % kNames.length]],
                      },
        });
    });
    const idle = await scene.peer(scene.eve);
    await account.start();
    await until(() => account.acknowledged > 100, { what: 'envelopes travel' });

    await goDown();
    await until(async () => (await health(context)).status === 503, { what: '/health says so' });
    const { body } = await health(context);
    assert.deepEqual(
        { ...body, version: '', gitSha: '', uptime: 0 },
        { status: 'degraded', db: 'down', version: '', gitSha: '', uptime: 0 },
    );
    await until(async () => (await sample(context, 'broker_db_healthy')) === 0);
    const end = Date.now() + kOutageSeconds * 1000;
    await expectRefusals(idle);
    // A newcomer cannot be let in: an answer or a close, but no silence.
    const newcomer = await scene.stranger(scene.fay);
    newcomer.send(newcomer.helloMessage());
    const answer = await newcomer.next((m) => m.type === 'error' || m.type === 'hello_ack');
    newcomer.socket.terminate();
    t.diagnostic(`a hello during the outage: ${answer.code ?? answer.type}`);
    await until(
        () => {
            assert.equal(server.exit, undefined, 'the process lives');
            return Date.now() >= end;
        },
        { deadlineMs: kOutageSeconds * 1000 + 10_000, everyMs: 250, what: 'the outage is over' },
    );
    await expectRefusals(idle);
    assert.equal(idle.end, undefined, 'the idle peer is connected');
    const during = account.acknowledged;

    await postgres.up();
    const up = Date.now();
    const seconds = () => `${((Date.now() - up) / 1000).toFixed(1)} s`;
    await until(async () => (await health(context)).status === 200, {
        deadlineMs: 120_000,
        what: '/health recovers',
    });
    const healthy = seconds();
    await until(() => account.acknowledged > during + 100, {
        deadlineMs: 120_000,
        what: 'envelopes travel again',
    });
    const travelling = seconds();
    await account.settle(90_000);
    t.diagnostic(`healthy after ${healthy}, 100 more after ${travelling}, all after ${seconds()}`);
    assert.deepEqual(account.faults, []);
    assert.ok(
        account.couriers.every(({ connections }) => connections === 1),
        'no socket was closed',
    );
    const refused = account.couriers.reduce((sum, courier) => sum + courier.refused, 0);
    assert.ok(refused > 0, 'the outage was noticed by senders');
    assert.equal((await idle.envelope('*', 'as before')).type, 'ack');
    await until(async () => (await sample(context, 'broker_db_healthy')) === 1);
    t.diagnostic(
        `${account.acknowledged} acknowledged, ${refused} refused, ${account.repeats} came again`,
    );
    await account.end();
    await idle.close();
    await server.finish();
    assert.ok(!server.logTail(10_000).includes(kDatabasePassword), 'a secret is logged');
    for (const message of ['db ping failed', 'db healthy']) {
        const lines = server.lines.filter(({ json }) => json?.msg === message);
        assert.ok(lines.length >= 1 && lines.length <= 5, `${message}: ${lines.length} lines`);
    }
}

describe('PostgreSQL outage under the broker', { skip: outagesMissing() }, () => {
    onEachOutage(scenario);
});
