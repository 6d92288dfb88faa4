// PostgreSQL goes away and comes back (NAVE_OUTAGE_SECONDS, 45 by default): the process lives, says
// so in /health, answers everything within its deadline, and has lost nothing afterwards.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { describe, test } from 'node:test';
import { Api, b64, Device } from '../support/client.mjs';
import { expectDistinct, expectOutcome } from '../support/expect.mjs';
import { onEachOutage, outagesMissing } from '../support/outages.mjs';
import { kDatabasePassword, Postgres } from '../support/postgres.mjs';
import { Server, until } from '../support/server.mjs';
import { kUnlimited } from '../support/stores.mjs';

const kOutageSeconds = Number(process.env.NAVE_OUTAGE_SECONDS ?? 45);
const kAnswerMs = 30_000;

async function scenario(postgres, t, goDown) {
    const url = await postgres.createDatabase();
    const server = await Server.start({ env: { ...kUnlimited, SHADE_PREKEY_PG_URL: url } });
    const api = new Api(server.url);
    const device = new Device();
    const uploaded = device.registration({ oneTime: 100 });
    expectOutcome(await api.write(device, 'POST', '/v1/keys/register', uploaded), 201);
    const keys = [];
    const take = async () => {
        const response = await api.bundle(device.address, { deadlineMs: kAnswerMs });
        if (response.status === 200) {
            keys.push(response.json.oneTimePreKey?.keyId);
        }
        return response;
    };
    for (let i = 0; i < 5; i += 1) {
        expectOutcome(await take(), 200);
    }

    let slowest = 0;
    const outcomes = new Map();
    let lost = 0;
    let running = true;
    const note = (response, start) => {
        slowest = Math.max(slowest, Date.now() - start);
        outcomes.set(response.outcome, (outcomes.get(response.outcome) ?? 0) + 1);
    };
    const probe = async (ask) => {
        while (running) {
            const start = Date.now();
            try {
                note(await ask(), start);
            } catch (error) {
                // An answer that never came within the deadline fails the test.
                assert.doesNotMatch(error.message, /no answer/, error.message);
                lost += 1;
            }
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
    };
    const options = { deadlineMs: kAnswerMs };
    const newcomers = [];
    const probes = [
        probe(take),
        probe(() =>
            api
                .claim([{ address: device.address, claimId: b64(crypto.randomBytes(16)) }], options)
                .then((response) => {
                    if (response.status === 200) {
                        keys.push(response.json.results[0].bundle.oneTimePreKey?.keyId);
                    }
                    return response;
                }),
        ),
        probe(() => api.request('GET', `/v1/keys/identity/${device.address}`, options)),
        probe(async () => {
            const newcomer = new Device();
            const response = await api.register(newcomer);
            if (response.status === 201) {
                newcomers.push(newcomer);
            }
            return response;
        }),
        probe(async () => {
            const response = await api.request('GET', '/healthz', options);
            assert.equal(response.status, 200, '/healthz answers while the process runs');
            return response;
        }),
    ];
    await goDown();
    await until(async () => (await api.request('GET', '/health')).status === 503, {
        what: '/health says degraded',
    });
    const health = (await api.request('GET', '/health')).json;
    assert.equal(health.status, 'degraded');
    assert.ok(health.issues.some(({ subsystem }) => /storage/.test(subsystem)));
    assert.equal((await api.request('GET', '/ready')).status, 503);
    const end = Date.now() + kOutageSeconds * 1000;
    await until(
        () => {
            assert.equal(server.exit, undefined, 'the process lives');
            return Date.now() >= end;
        },
        { deadlineMs: kOutageSeconds * 1000 + 10_000, everyMs: 250, what: 'the outage is over' },
    );
    await postgres.up();
    await until(async () => (await api.request('GET', '/health')).status === 200, {
        deadlineMs: 120_000,
        what: '/health recovers',
    });
    expectOutcome(await take(), 200);
    running = false;
    await Promise.all(probes);
    t.diagnostic(
        `slowest answer ${slowest} ms; ${[...outcomes].map(([k, n]) => `${k}: ${n}`).join(', ')}` +
            `; ${lost} connections lost`,
    );
    assert.ok(slowest < kAnswerMs);
    assert.ok(outcomes.get('503 SHADE_STORAGE') > 0, 'the outage was noticed by requests');
    assert.ok(
        [...outcomes.keys()].every((outcome) => /^(2\d\d|503 SHADE_STORAGE)$/.test(outcome)),
        [...outcomes.keys()].join(', '),
    );

    // Nothing acknowledged is gone, nothing went out twice.
    for (const newcomer of newcomers) {
        expectOutcome(await api.identityOf(newcomer.address), 200);
    }
    for (let i = 0; i < 110; i += 1) {
        const { oneTimePreKey } = expectOutcome(await take(), 200);
        if (!oneTimePreKey) {
            break;
        }
    }
    const issued = keys.filter((id) => id !== undefined);
    expectDistinct(issued, 'key id');
    assert.ok(issued.every((id) => id >= 100 && id < 200));
    assert.ok(!server.logTail(10_000).includes(kDatabasePassword), 'a secret is logged');
    await server.finish();
}

describe('PostgreSQL outage', { skip: outagesMissing() }, () => {
    onEachOutage(scenario);

    test('a server started while the database is down says so, and serves later or ends clearly', async () => {
        const postgres = await Postgres.start();
        const url = await postgres.createDatabase();
        await postgres.down();
        const server = new Server({
            env: { ...kUnlimited, SHADE_PREKEY_PG_URL: url },
            ready: false,
        });
        try {
            await server.launch();
            const api = new Api(server.url);
            const first = await Promise.race([
                server.exited.then((exit) => ({ exit })),
                api.request('GET', '/healthz').then(
                    (response) => ({ response }),
                    () => server.exited.then((exit) => ({ exit })),
                ),
            ]);
            if (first.response) {
                assert.equal(first.response.status, 200);
                await postgres.up();
                const outcome = await Promise.race([
                    server.exited.then((exit) => ({ exit })),
                    until(async () => (await api.request('GET', '/health')).status === 200, {
                        deadlineMs: 60_000,
                    }).then(() => ({ healthy: true })),
                ]);
                assert.ok(outcome.healthy || outcome.exit.code > 0);
            } else {
                assert.ok(first.exit.code > 0, 'an exit status an orchestrator can restart on');
            }
            assert.ok(!server.logTail(1_000).includes(kDatabasePassword), 'a secret is logged');
        } finally {
            server.dispose();
            await postgres.finish();
        }
    });
});
