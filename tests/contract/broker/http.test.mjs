// The HTTP side: hooks, health, metrics, CORS and what is not there.
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { peerKeys } from '../../support/broker_peer.mjs';
import { metricsText, onEachBroker, sample, Scene, settled } from '../../support/broker_scene.mjs';

const kMetricsToken = 'token-that-only-the-scraper-has';

// { status, headers, text, json }
async function call(context, method, path, { body, headers } = {}) {
    const response = await fetch(`${context.server.url}${path}`, { method, headers, body });
    const text = await response.text();
    const json = text.startsWith('{') ? JSON.parse(text) : undefined;
    return { status: response.status, headers: response.headers, text, json };
}

const hook = (context, body) =>
    call(context, 'POST', '/hook/set-status', {
        body: typeof body === 'string' ? body : JSON.stringify(body),
    });

// A status, and a body of { ok: false, error }.
function expectRefusal(response, status, error = /./) {
    assert.equal(response.status, status, response.text);
    assert.deepEqual(Object.keys(response.json), ['ok', 'error']);
    assert.equal(response.json.ok, false);
    assert.match(response.json.error, error);
}

onEachBroker('POST /hook/set-status', (context) => {
    let directories = 0;
    const directory = () => `/hooks/${(directories += 1)}`;

    test('a live presence: its id', async () => {
        const scene = await Scene.make(context, 'ada');
        const cwd = directory();
        const ada = await scene.peer(scene.ada, { cwd });
        const { status, json } = await hook(context, { cwd, status: 'working', session_id: 5 });
        assert.equal(status, 200);
        assert.deepEqual(json, { ok: true, presence_id: ada.ack.presenceId });
        assert.equal((await settled(ada)).peers[0].status, 'working');
    });

    test('several in one directory: by pid, else the youngest, over all meshes', async () => {
        const cwd = directory();
        const peers = [];
        for (const pid of [101, 102, 103]) {
            const scene = await Scene.make(context, 'ada');
            peers.push(await scene.peer(scene.ada, { cwd, hello: { pid } }));
        }
        const [one, , three] = peers.map(({ ack }) => ack.presenceId);
        const of = async (pid) => (await hook(context, { cwd, pid, status: 'idle' })).json;
        assert.deepEqual(await of(101), { ok: true, presence_id: one });
        assert.deepEqual(await of(999), { ok: true, presence_id: three });
        assert.deepEqual(await of(undefined), { ok: true, presence_id: three });
        await peers[2].close();
        assert.notEqual((await of(undefined)).presence_id, three);
    });

    test('nobody there: pending, and applied to who comes with that directory', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const cwd = directory();
        for (const status of ['dnd', 'working']) {
            const { json } = await hook(context, { cwd, pid: 7, status });
            assert.deepEqual(json, { ok: true, pending: true });
        }
        const ada = await scene.peer(scene.ada, { cwd, hello: { pid: 8 } });
        assert.equal((await settled(ada)).peers[0].status, 'working', 'the newest');
        const bob = await scene.peer(scene.bob, { cwd: `${cwd}/below` });
        const { peers } = await settled(bob);
        assert.equal(peers.find(({ pubkey }) => pubkey === bob.key).status, 'idle');
    });

    test('cwd or status empty or absent: 200 and ok false', async () => {
        const bodies = [
            {},
            { cwd: '/x' },
            { status: 'idle' },
            { cwd: '', status: 'idle' },
            { cwd: '/x', status: '' },
            { cwd: 5, status: 'idle' },
        ];
        for (const body of bodies) {
            expectRefusal(await hook(context, body), 200);
        }
    });

    test('a status that is none, and what is no JSON: 500', async () => {
        const scene = await Scene.make(context, 'ada');
        const cwd = directory();
        const ada = await scene.peer(scene.ada, { cwd });
        expectRefusal(await hook(context, { cwd, status: 'asleep' }), 500);
        for (const body of ['', '{', '[]', 'null', '"x"', '['.repeat(5_000)]) {
            expectRefusal(await hook(context, body), 500);
        }
        assert.equal((await settled(ada)).peers[0].status, 'idle');
    });

    test('a body over MAX_MESSAGE_BYTES: 413', async () => {
        const body = (size) => JSON.stringify({ cwd: '', status: '' }).padEnd(size);
        expectRefusal(await hook(context, body(65_536)), 200);
        expectRefusal(await hook(context, body(65_537)), 413);
    });

    test('over the rate of a process and directory: 429; others are free', async () => {
        const cwd = directory();
        const limited = 'broker_hook_requests_rate_limited_total';
        const [all, over] = [await sample(context, 'broker_hook_requests_total'), limited];
        const before = await sample(context, over);
        const start = Date.now();
        let passed = 0;
        let answer = await hook(context, { cwd, pid: 1, status: 'idle' });
        for (; answer.status === 200 && passed < 200; passed += 1) {
            answer = await hook(context, { cwd, pid: 1, status: 'idle' });
        }
        expectRefusal(answer, 429, /^rate limited$/);
        // A token comes back every other second.
        const most = 31 + (Date.now() - start) / 2_000;
        assert.ok(passed >= 30 && passed <= most, `${passed} passed`);
        assert.equal((await hook(context, { cwd, pid: 2, status: 'idle' })).status, 200);
        assert.equal((await hook(context, { cwd, status: 'idle' })).status, 200);
        assert.equal(await sample(context, over), before + 1);
        assert.equal(await sample(context, 'broker_hook_requests_total'), all + passed + 3);
        const line = await context.server.waitForLog(({ msg }) => msg === 'hook rate limited');
        assert.deepEqual([line.cwd, line.pid], [cwd, 1]);
    });

    test('what is logged of a hook', async () => {
        const cwd = directory();
        await hook(context, { cwd, pid: 12, status: 'dnd' });
        const line = await context.server.waitForLog((l) => l.msg === 'hook' && l.cwd === cwd);
        assert.equal(line.route, '/hook/set-status');
        assert.deepEqual([line.pid, line.status, line.pending], [12, 'dnd', true]);
        assert.equal(typeof line.latency_ms, 'number');
    });
});

onEachBroker(
    'health and metrics',
    (context) => {
        test('/health', async () => {
            const { status, headers, json } = await call(context, 'GET', '/health');
            assert.equal(status, 200);
            assert.match(headers.get('content-type'), /^application\/json/);
            assert.ok(Number.isInteger(json.uptime) && json.uptime >= 0);
            assert.match(json.version, /^\d+\.\d+\.\d+/);
            assert.deepEqual(json, {
                status: 'ok',
                db: 'up',
                version: json.version,
                gitSha: 'abc1234',
                uptime: json.uptime,
            });
        });

        test('/healthz and /ready', async () => {
            assert.equal((await call(context, 'GET', '/healthz')).status, 200);
            assert.equal((await call(context, 'GET', '/ready')).status, 200);
        });

        // Of the contract, in its order.
        const series = [
            ['broker_connections_total', 'counter'],
            ['broker_connections_rejected_total', 'counter', 'reason'],
            ['broker_connections_active', 'gauge'],
            ['broker_messages_routed_total', 'counter', 'priority'],
            ['broker_messages_rejected_total', 'counter', 'reason'],
            ['broker_queue_depth', 'gauge'],
            ['broker_ttl_sweeps_total', 'counter', 'flipped'],
            ['broker_hook_requests_total', 'counter'],
            ['broker_hook_requests_rate_limited_total', 'counter'],
            ['broker_db_healthy', 'gauge'],
        ];

        test('/metrics has every series of the original, in its order', async () => {
            const response = await call(context, 'GET', '/metrics');
            assert.match(response.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
            const lines = response.text.split('\n');
            const types = lines.filter((line) => line.startsWith('# TYPE broker_'));
            const known = types.filter((line) => series.some(([name]) => line.includes(`${name} `)));
            assert.deepEqual(
                known,
                series.map(([name, type]) => `# TYPE ${name} ${type}`),
            );
            for (const [name, , label] of series) {
                const at = lines.findIndex((line) => line.startsWith(`# HELP ${name} `));
                assert.ok(at >= 0 && lines[at + 1].startsWith(`# TYPE ${name} `), name);
                const samples = lines.filter((line) => new RegExp(`^${name}[ {]`).test(line));
                assert.ok(samples.length > 0, name);
                const form = label ? `^${name}\\{${label}="[a-z0-9_+]+"\\} \\d+$` : `^${name} \\d+$`;
                samples.forEach((line) => assert.match(line, new RegExp(form)));
            }
            const reasons = ['capacity', 'unauthorized', 'timestamp_skew', 'bad_signature'];
            reasons.forEach((reason) =>
                assert.match(
                    response.text,
                    new RegExp(`^broker_connections_rejected_total\\{reason="${reason}"\\}`, 'm'),
                ),
            );
        });

        test('the counts are right', async () => {
            const scene = await Scene.make(context, 'ada', 'bob');
            const names = [
                'broker_connections_total',
                'broker_connections_active',
                'broker_messages_routed_total{priority="now"}',
                'broker_messages_routed_total{priority="low"}',
            ];
            const read = () => Promise.all(names.map((name) => sample(context, name)));
            const before = await read();
            const ada = await scene.peer(scene.ada);
            const bob = await scene.peer(scene.bob);
            await bob.envelope(ada.key, 'one', { priority: 'now' });
            await bob.envelope('*', 'two', { priority: 'low' });
            await bob.envelope(peerKeys().hex, 'to nobody', { priority: 'low' });
            await ada.push('two');
            const after = await read();
            assert.deepEqual(
                after.map((value, i) => value - before[i]),
                [2, 2, 1, 1],
            );
            assert.equal(await sample(context, 'broker_db_healthy'), 1);
            await ada.close();
            await settled(bob);
        });

        test('no key, name or text of anybody is in /metrics', async () => {
            const scene = await Scene.make(context, 'ada the curious');
            const peer = await scene.peer(scene['ada the curious']);
            await peer.envelope('*', 'some text');
            const text = await metricsText(context);
            for (const word of [peer.key, 'curious', 'some text', scene.mesh.id]) {
                assert.ok(!text.includes(word), word);
            }
        });
    },
    { env: { GIT_SHA: 'abc1234' } },
);

onEachBroker(
    '/metrics with a token',
    (context) => {
        test('asks for it', async () => {
            expectRefusal(await call(context, 'GET', '/metrics'), 401);
            for (const token of ['', 'wrong', `${kMetricsToken}x`, kMetricsToken.slice(1)]) {
                const headers = { Authorization: `Bearer ${token}` };
                expectRefusal(await call(context, 'GET', '/metrics', { headers }), 401);
            }
            const text = await metricsText(context, { Authorization: `Bearer ${kMetricsToken}` });
            assert.match(text, /^broker_db_healthy 1$/m);
            assert.equal((await call(context, 'GET', '/health')).status, 200);
        });
    },
    { env: { BROKER_METRICS_TOKEN: kMetricsToken } },
);

onEachBroker('routes', (context) => {
    const expectCors = ({ headers }) => {
        assert.equal(headers.get('access-control-allow-origin'), '*');
        assert.equal(headers.get('access-control-allow-methods'), 'POST, GET, OPTIONS');
        assert.match(headers.get('access-control-allow-headers'), /\bContent-Type\b/);
    };

    test('CORS is on every answer', async () => {
        expectCors(await call(context, 'GET', '/health'));
        expectCors(await call(context, 'GET', '/metrics'));
        expectCors(await hook(context, {}));
        expectCors(await call(context, 'POST', '/join', { body: '{}' }));
        expectCors(await call(context, 'GET', '/nowhere'));
        expectCors(await hook(context, 'x'.repeat(70_000)));
    });

    test('OPTIONS anywhere: 204', async () => {
        for (const path of ['/', '/health', '/hook/set-status', '/join', '/ws', '/a/b/c']) {
            const response = await call(context, 'OPTIONS', path);
            assert.equal(response.status, 204, path);
            assert.equal(response.text, '');
            expectCors(response);
        }
    });

    test('unknown: 404 and the words', async () => {
        const paths = ['/', '/nowhere', '/hook', '/hook/set-status/', '/health/x', '/HEALTH'];
        for (const path of paths) {
            const response = await call(context, 'GET', path);
            assert.equal(response.status, 404, path);
            assert.equal(response.text, 'not found');
            assert.match(response.headers.get('content-type'), /^text\/plain/);
        }
    });

    test('a route by another method is not a server error', async () => {
        const wrong = [
            ['GET', '/hook/set-status'],
            ['GET', '/join'],
            ['POST', '/health'],
            ['DELETE', '/metrics'],
        ];
        for (const [method, path] of wrong) {
            const { status } = await call(context, method, path);
            assert.ok(status === 404 || status === 405, `${method} ${path}: ${status}`);
        }
    });

    test('GET /ws without an upgrade is refused, and the server lives', async () => {
        const { status } = await call(context, 'GET', '/ws');
        assert.ok(status >= 400 && status < 500, String(status));
    });

    test('a request that is none gets its connection closed', async () => {
        const socket = net.connect(context.server.port, '127.0.0.1');
        socket.on('error', () => undefined);
        socket.end('\u0000\u0001 nonsense\r\n\r\n');
        await new Promise((resolve) => socket.resume().on('close', resolve));
        assert.equal((await call(context, 'GET', '/health')).status, 200);
    });
});
