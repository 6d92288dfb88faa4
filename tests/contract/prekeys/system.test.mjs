// The service as something to operate: health, metrics, description, start, stop and commands.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, test } from 'node:test';
import YAML from 'yaml';
import { ApiDescription, kDescriptionFile } from '../../support/openapi.mjs';
import { Api, Device, exchange } from '../../support/client.mjs';
import { expectDistinct, expectError, expectOutcome } from '../../support/expect.mjs';
import { runCommand, Server, temporaryDirectory, until } from '../../support/server.mjs';
import { kUnlimited, onEachStore } from '../../support/stores.mjs';

// Contract section 8: every series, its type, and the labels it may have.
const kMetrics = {
    shade_requests_total: ['counter', ['route', 'status']],
    shade_request_duration_seconds: ['histogram', ['route']],
    shade_bundles_issued_total: ['counter', ['suite', 'one_time', 'kem']],
    shade_one_time_prekeys: ['gauge', ['kind']],
    shade_identities: ['gauge', ['suite']],
    shade_identities_below_low_threshold: ['gauge', []],
    shade_identities_exhausted: ['gauge', []],
    shade_signed_prekey_age_seconds: ['histogram', []],
    shade_prekey_uploads_total: ['counter', ['kind', 'result']],
    shade_rate_limited_total: ['counter', ['limit']],
    shade_auth_failures_total: ['counter', ['code']],
    shade_replays_rejected_total: ['counter', []],
    shade_identity_conflicts_total: ['counter', []],
    shade_identity_key_reuse_total: ['counter', []],
    shade_depletion_suspected_total: ['counter', []],
    shade_purged_total: ['counter', []],
    shade_cleanup_last_run_timestamp_seconds: ['gauge', []],
    shade_observer_clients: ['gauge', []],
    shade_kt_tree_size: ['gauge', []],
    shade_kt_checkpoint_age_seconds: ['gauge', []],
    shade_kt_witness_cosignatures: ['gauge', []],
    shade_build_info: ['gauge', ['version', 'commit']],
};
const kLabelValues = {
    suite: ['x3dh-ed25519', 'pqxdh-ed25519', 'pqxdh-xeddsa', 'x3dh-xeddsa'],
    one_time: ['issued', 'exhausted', 'withheld'],
    kem: ['one_time', 'last_resort', 'none'],
    kind: ['ec', 'kem'],
    result: ['accepted', 'duplicate', 'consumed', 'conflict'],
    limit: ['register', 'fetch', 'target', 'pair', 'replenish'],
    code: ['SHADE_UNAUTHORIZED', 'SHADE_TIMESTAMP_SKEW', 'SHADE_BAD_REQUEST_SIGNATURE'],
};

onEachStore('operation', (context) => {
    test('health, liveness and readiness', async () => {
        const health = expectOutcome(await context.api.request('GET', '/health'), 200);
        assert.equal(health.status, 'ok');
        assert.equal(health.service, 'prekeys');
        assert.match(health.version, /^\d+\.\d+\.\d+/);
        expectOutcome(await context.api.request('GET', '/healthz'), 200);
        expectOutcome(await context.api.request('GET', '/ready'), 200);
        for (const probe of ['/health', '/healthz', '/ready']) {
            assert.equal((await context.api.request('HEAD', probe)).status, 200);
        }
    });

    test('the description that is served is the one in the repository', async () => {
        const response = await context.api.request('GET', '/openapi.yaml');
        assert.match(response.headers['content-type'], /^application\/yaml/);
        assert.equal(response.text, fs.readFileSync(kDescriptionFile, 'utf8'));
        assert.equal(YAML.parse(response.text).openapi, '3.1.0');
    });

    test('the reference page works without any other host', async () => {
        const page = await context.api.request('GET', '/docs');
        assert.equal(page.status, 200);
        const policy = page.headers['content-security-policy'];
        assert.match(policy, /script-src/);
        assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|https?:/);
        const references = [...page.text.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, to]) => to);
        assert.ok(references.length > 0);
        for (const target of references) {
            assert.doesNotMatch(target, /^(https?:)?\/\//, target);
            const { pathname } = new URL(target, `${context.server.url}/docs`);
            const asset = await context.api.request('GET', pathname);
            assert.equal(asset.status, 200, `${target} -> ${pathname}`);
        }
    });

    test('every route of the description is there', async () => {
        const description = ApiDescription.load();
        const unmounted = /^\/(shade-observer|v1\/kt|docs\/)/;
        for (const { template, method } of description.operations()) {
            if (unmounted.test(template)) {
                continue;
            }
            const target = template.replace('{address}', 'nobody:1');
            const response = await exchange(context.server.url, 'OPTIONS', target);
            assert.equal(response.status, 204, target);
            const allowed = response.headers.allow.split(/, */);
            assert.ok(
                allowed.includes(method.toUpperCase()),
                `${method} ${target}: ${response.headers.allow}`,
            );
        }
    });

    test('metrics: the names, types and labels of the contract, and nothing else', async () => {
        const device = new Device({ suite: 'pqxdh-ed25519' });
        expectOutcome(await context.api.register(device, { oneTime: 2, kemOneTime: 1 }), 201);
        expectOutcome(await context.api.bundle(device.address), 200);
        await context.api.bundle('nobody:1');
        await context.api.request('GET', '/no/such/path/at/all');
        await context.api.request('GET', `/v1/keys/count/${device.address}`);
        const response = await context.api.request('GET', '/metrics');
        assert.match(response.headers['content-type'], /^text\/plain; version=0\.0\.4/);
        const types = Object.fromEntries(
            [...response.text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [
                name,
                type,
            ]),
        );
        for (const [name, [type]] of Object.entries(kMetrics)) {
            assert.equal(types[name], type, name);
            assert.match(response.text, new RegExp(`^# HELP ${name} \\S`, 'm'));
        }
        const samples = await context.api.metrics();
        for (const key of samples.keys()) {
            const [, name, labels = ''] = /^([^{]+)(?:\{(.*)\})?$/.exec(key);
            const base = name.replace(/_(bucket|sum|count)$/, '');
            const known = kMetrics[name] ?? kMetrics[base];
            if (!known) {
                assert.match(name, /^(nave|process)_|^shade_store_errors_total$/, key);
                continue;
            }
            for (const [, label, value] of labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
                assert.ok([...known[1], 'le'].includes(label), key);
                assert.ok(!kLabelValues[label] || kLabelValues[label].includes(value), key);
                if (label === 'route') {
                    assert.match(value, /^(\/[\w.{}/-]*|unmatched)$/, key);
                    assert.doesNotMatch(value, /nobody|no\/such|:/, key);
                }
            }
            assert.ok(!key.includes(device.address), key);
        }
        assert.equal(
            samples.get('shade_requests_total{route="/v1/keys/bundle/{address}",status="404"}') >=
                1,
            true,
        );
        assert.ok(samples.get('shade_auth_failures_total{code="SHADE_UNAUTHORIZED"}') >= 1);
    });

    test('counters start at zero and exist before anything happens', async () => {
        const server = await Server.start({ env: { ...kUnlimited } });
        try {
            const samples = await new Api(server.url).metrics();
            for (const name of [
                'shade_replays_rejected_total',
                'shade_identity_conflicts_total',
                'shade_rate_limited_total{limit="fetch"}',
                'shade_bundles_issued_total{kem="none",one_time="issued",suite="x3dh-ed25519"}',
                'shade_prekey_uploads_total{kind="kem",result="conflict"}',
            ]) {
                assert.equal(samples.get(name), 0, name);
            }
            assert.equal(
                samples.size > 0 &&
                    [...samples.keys()].some((k) => k.startsWith('shade_build_info{')),
                true,
            );
        } finally {
            await server.finish();
        }
    });

    test('metrics count what happened, exactly', async () => {
        const value = (samples, name) => samples.get(name) ?? 0;
        const before = await context.api.metrics();
        const device = new Device({ suite: 'pqxdh-xeddsa' });
        expectOutcome(await context.api.register(device, { oneTime: 2, kemOneTime: 1 }), 201);
        for (let i = 0; i < 3; i += 1) {
            expectOutcome(await context.api.bundle(device.address), 200);
        }
        const json = device.seal({ address: device.address, oneTimePreKeys: [] });
        await context.api.request('POST', '/v1/keys/replenish', { json });
        expectError(
            await context.api.request('POST', '/v1/keys/replenish', { json }),
            409,
            'SHADE_REPLAY',
        );
        expectError(
            await context.api.register(new Device({ address: device.address })),
            409,
            'SHADE_IDENTITY_CONFLICT',
        );
        expectOutcome(await context.api.register(device.cloneTo('second-home:1')), 201);
        const after = await context.api.metrics();
        const grown = (name) => value(after, name) - value(before, name);
        const bundles = (oneTime, kem) =>
            `shade_bundles_issued_total{kem="${kem}",one_time="${oneTime}",suite="pqxdh-xeddsa"}`;
        assert.equal(grown(bundles('issued', 'one_time')), 1);
        assert.equal(grown(bundles('issued', 'last_resort')), 1);
        assert.equal(grown(bundles('exhausted', 'last_resort')), 1);
        assert.equal(grown('shade_prekey_uploads_total{kind="ec",result="accepted"}'), 2);
        assert.equal(grown('shade_prekey_uploads_total{kind="kem",result="accepted"}'), 1);
        assert.equal(grown('shade_replays_rejected_total'), 1);
        assert.equal(grown('shade_identity_conflicts_total'), 1);
        assert.equal(grown('shade_identity_key_reuse_total'), 1);
        assert.equal(grown('shade_signed_prekey_age_seconds_count'), 3);
        const route = 'shade_requests_total{route="/v1/keys/register",status="201"}';
        assert.equal(grown(route), 2);
        assert.equal(
            grown('shade_request_duration_seconds_count{route="/v1/keys/bundle/{address}"}'),
            3,
        );
        await until(
            async () => {
                const samples = await context.api.metrics();
                return samples.get('shade_identities{suite="pqxdh-xeddsa"}') >= 2;
            },
            { what: 'gauges follow the store', deadlineMs: 60_000 },
        );
    });

    test('the answer to a request that runs when the stop comes is still sent', async () => {
        const server = await Server.start({ env: { ...kUnlimited } });
        const socket = net.connect(server.port, '127.0.0.1');
        const received = [];
        socket.on('data', (chunk) => received.push(chunk));
        socket.setTimeout(30_000, () => socket.destroy());
        const closed = new Promise((resolve) => socket.on('close', resolve));
        const body = '{"claims":[{"address":"nobody:1","claimId":"AAECAwQFBgcICQoLDA0ODw=="}]}';
        socket.write(
            'POST /v1/keys/claim HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' +
                `Content-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`,
        );
        const api = new Api(server.url);
        expectOutcome(await api.request('GET', '/healthz'), 200);
        server.child.kill('SIGTERM');
        await server.waitForLog((line) => /shutdown|stopping/.test(line.msg));
        socket.write(body.slice(10));
        await closed;
        const answer = Buffer.concat(received).toString();
        assert.match(answer, /^HTTP\/1\.1 (200|503) /);
        assert.deepEqual(await server.exited, { code: 0, signal: null });
        server.removeData();
    });

    test('a stop waits for no idle connection', async () => {
        const env = { ...kUnlimited, NAVE_SHUTDOWN_SECONDS: '120' };
        const server = await Server.start({ env });
        const sockets = Array.from({ length: 20 }, () => net.connect(server.port, '127.0.0.1'));
        await Promise.all(
            sockets.map((socket) => new Promise((resolve) => socket.on('connect', resolve))),
        );
        const start = Date.now();
        await server.finish();
        assert.ok(Date.now() - start < 55_000, `took ${Date.now() - start} ms`);
        sockets.forEach((socket) => socket.destroy());
    });
});

onEachStore(
    'metrics token',
    (context) => {
        test('metrics are for its holders', async () => {
            expectError(await context.api.request('GET', '/metrics'), 401, 'SHADE_UNAUTHORIZED');
            for (const token of ['wrong', 'a-metrics-token-0123456780']) {
                const headers = { Authorization: `Bearer ${token}` };
                expectError(
                    await context.api.request('GET', '/metrics', { headers }),
                    401,
                    'SHADE_UNAUTHORIZED',
                );
            }
            const headers = { Authorization: 'Bearer a-metrics-token-0123456789' };
            assert.equal((await context.api.request('GET', '/metrics', { headers })).status, 200);
            expectOutcome(await context.api.request('GET', '/health'), 200);
        });
    },
    {
        stores: ['sqlite'],
        env: { ...kUnlimited, SHADE_METRICS_TOKEN: 'a-metrics-token-0123456789' },
    },
);

onEachStore(
    'all services in one process',
    (context) => {
        test('prekeys stand below /prekeys and work there', async () => {
            assert.equal(context.api.prefix, '/prekeys');
            for (const scheme of ['A', 'B']) {
                const device = new Device({ suite: 'pqxdh-ed25519' });
                expectOutcome(
                    await context.api.register(device, { scheme, oneTime: 2, kemOneTime: 1 }),
                    201,
                );
                const bundle = expectOutcome(await context.api.bundle(device.address), 200);
                assert.equal(bundle.oneTimeStatus, 'issued');
                expectOutcome(await context.api.count(device), 200);
                expectOutcome(await context.api.delete(device, { scheme }), 204);
            }
        });

        test('scheme B covers the path with its prefix', async () => {
            const device = new Device();
            expectOutcome(await context.api.register(device), 201);
            const bare = `/v1/keys/count/${device.address}`;
            expectError(
                await context.api.signed(device, 'GET', bare, { sign: { target: bare } }),
                401,
                'SHADE_BAD_REQUEST_SIGNATURE',
            );
        });

        test('health, metrics and documents of the service, and of the process', async () => {
            for (const probe of ['/health', '/healthz', '/ready', '/openapi.yaml', '/docs']) {
                assert.equal((await context.api.request('GET', probe)).status, 200, probe);
            }
            for (const probe of ['/', '/health', '/healthz', '/ready', '/metrics']) {
                const response = await exchange(context.server.url, 'GET', probe);
                assert.equal(response.status, 200, probe);
            }
            const landing = await exchange(context.server.url, 'GET', '/');
            assert.match(landing.text, /prekeys/);
            assert.doesNotMatch(landing.headers['content-security-policy'], /unsafe/);
        });

        test('documents work below the prefix', async () => {
            const page = await context.api.request('GET', '/docs');
            for (const [, target] of page.text.matchAll(/(?:src|href)="([^"#]+)"/g)) {
                const { pathname } = new URL(target, `${context.server.url}/prekeys/docs`);
                assert.ok(pathname.startsWith('/prekeys/'), `${target} leaves the service`);
                const asset = await exchange(context.server.url, 'GET', pathname);
                assert.equal(asset.status, 200, pathname);
            }
        });

        test('the root is not the service', async () => {
            const response = await exchange(context.server.url, 'GET', '/v1/keys/bundle/a:1');
            assert.equal(response.status, 404);
        });
    },
    { services: [] },
);

describe('settings', () => {
    const refused = async (env, pattern, args = []) => {
        const dataDir = temporaryDirectory('nave-config');
        const { code, stderr } = await runCommand(
            ['serve', 'prekeys', '--listen', '127.0.0.1:0', '--data-dir', dataDir, ...args],
            { env },
        );
        fs.rmSync(dataDir, { recursive: true, force: true });
        assert.equal(typeof code, 'number');
        assert.notEqual(code, 0);
        assert.match(stderr, pattern);
        return stderr;
    };

    test('an observer token shorter than 16 characters is refused at start', async () => {
        const stderr = await refused(
            { SHADE_OBSERVER_TOKEN: 'only-15-letters' },
            /SHADE_OBSERVER_TOKEN/,
        );
        assert.ok(!stderr.includes('only-15-letters'), 'the secret is not repeated');
    });

    test('all mistakes are reported at once, with names', async () => {
        const stderr = await refused(
            {
                SHADE_STALE_DAYS: 'soon',
                SHADE_LIMIT_FETCH: '60/fortnight',
                SHADE_MAX_SKEW_SECONDS: '0',
                SHADE_TRUSTED_PROXIES: '10.0.0.0/33',
                SHADE_BUNDLE_ACCESS: 'friends',
            },
            /SHADE_STALE_DAYS/,
        );
        for (const name of [
            'SHADE_LIMIT_FETCH',
            'SHADE_MAX_SKEW_SECONDS',
            'SHADE_TRUSTED_PROXIES',
            'SHADE_BUNDLE_ACCESS',
        ]) {
            assert.ok(stderr.includes(name), `${name} is not named:\n${stderr}`);
        }
    });

    test('an unknown SHADE_ variable is noticed', async () => {
        const { code, stdout, stderr } = await runCommand(['config', 'check'], {
            env: { SHADE_STALE_DAY: '3' },
        });
        assert.match(stdout + stderr, /SHADE_STALE_DAY\b/);
        assert.match(stdout + stderr, /SHADE_STALE_DAYS/, 'the likely meaning is proposed');
        assert.ok([0, 12].includes(code));
    });

    test('combinations that cannot work are refused', async () => {
        await refused({ SHADE_BUNDLE_ACCESS: 'token' }, /SHADE_BUNDLE_TOKEN/);
        await refused({ SHADE_REFILL_TO: '300', SHADE_MAX_OPK: '200' }, /SHADE_REFILL_TO/);
    });

    test('a database that cannot be opened ends the start with one clear line', async () => {
        await refused({ SHADE_PREKEY_DB_PATH: '/proc/no/such/place.db' }, /place\.db|\/proc/);
    });

    test('secrets come from files as well', async () => {
        const dir = temporaryDirectory('nave-secret');
        const file = path.join(dir, 'token');
        fs.writeFileSync(file, 'a-token-from-a-file-0123456789\n', { mode: 0o600 });
        const server = await Server.start({
            env: { ...kUnlimited, SHADE_OBSERVER_TOKEN_FILE: file },
        });
        try {
            const response = await new Api(server.url).request('GET', '/shade-observer/api/state', {
                headers: { Authorization: 'Bearer a-token-from-a-file-0123456789' },
            });
            expectOutcome(response, 200);
        } finally {
            await server.finish();
            fs.rmSync(dir, { recursive: true });
        }
    });

    test('flags win over the environment', async () => {
        const server = await Server.start({
            env: { ...kUnlimited, SHADE_LOW_THRESHOLD: '7' },
            args: ['--set', 'SHADE_LOW_THRESHOLD=9'],
        });
        try {
            const body = expectOutcome(await new Api(server.url).register(new Device()), 201);
            assert.equal(body.lowThreshold, 9);
        } finally {
            await server.finish();
        }
    });
});

describe('descriptors', () => {
    test('clients cannot use up those that files need', async () => {
        const server = await Server.start({
            env: kUnlimited,
            through: ['prlimit', '--nofile=256:512'],
        });
        const [warning] = server.log.filter(({ json }) => json?.setting === 'NAVE_MAX_CONNECTIONS');
        assert.equal(warning.json.level, 'warn');
        assert.equal(warning.json.descriptors, 512, 'the soft limit is raised to the hard one');
        assert.ok(warning.json.connections >= 256 && warning.json.connections < 512);
        const api = new Api(server.url);
        const device = new Device();
        expectOutcome(await api.register(device, { oneTime: 3 }), 201);
        let refused = 0;
        const sockets = Array.from({ length: 520 }, () => {
            const socket = net.connect(server.port, '127.0.0.1');
            socket.on('error', () => {});
            socket.on('close', () => (refused += 1));
            return socket;
        });
        await until(() => refused >= 520 - warning.json.connections, { what: 'some are refused' });
        // The client that is already connected is served, with a new file for the checkpoint.
        expectOutcome(await api.register(new Device()), 201);
        const bundle = `/v1/keys/bundle/${device.address}?kt=1`;
        expectOutcome(await api.request('GET', bundle), 200);
        sockets.forEach((socket) => socket.destroy());
        await server.finish();
        assert.deepEqual(server.errorLines(), []);
    });
});

describe('commands', () => {
    test('version', async () => {
        const { code, stdout } = await runCommand(['version', '--json']);
        assert.equal(code, 0);
        const version = JSON.parse(stdout);
        assert.match(version.version, /^\d+\.\d+\.\d+/);
        assert.equal(typeof version.commit, 'string');
    });

    test('config print hides secrets', async () => {
        const secret = 'a-very-secret-token-0123456789';
        const { code, stdout, stderr } = await runCommand(['config', 'print'], {
            env: { SHADE_OBSERVER_TOKEN: secret, SHADE_AUDIENCE: 'keys.example' },
        });
        assert.equal(code, 0, stderr);
        assert.match(stdout, /keys\.example/);
        assert.ok(!stdout.includes(secret));
    });

    test('config reference names every setting', async () => {
        const { code, stdout } = await runCommand(['config', 'reference']);
        assert.equal(code, 0);
        for (const name of [
            'PORT',
            'SHADE_PREKEY_DB_PATH',
            'SHADE_PREKEY_PG_URL',
            'SHADE_OBSERVER_TOKEN',
            'SHADE_STALE_DAYS',
            'SHADE_CLEANUP_INTERVAL_HOURS',
            'SHADE_LOG_LEVEL',
            'SHADE_AUDIENCE',
            'SHADE_DISABLE_RATE_LIMIT',
            'SHADE_RESERVE_PERCENT',
        ]) {
            assert.ok(stdout.includes(name), name);
        }
    });

    test('unknown commands and services', async () => {
        for (const args of [['fly'], ['serve', 'teapot'], ['serve', '--nonsense'], []]) {
            const { code, stderr, stdout } = await runCommand(args);
            assert.notEqual(code, 0, args.join(' '));
            assert.ok((stderr + stdout).length > 0);
        }
    });

    test('migrate before the first start, and again', async () => {
        const dataDir = temporaryDirectory('nave-migrate');
        // There is nothing to look at yet; that is said, or everything is listed as pending.
        const dry = await runCommand(['migrate', '--dry-run', '--data-dir', dataDir]);
        assert.ok(dry.code === 0 || /no database/i.test(dry.stderr), dry.stderr);
        const first = await runCommand(['migrate', '--data-dir', dataDir]);
        assert.equal(first.code, 0, first.stderr);
        const second = await runCommand(['migrate', '--data-dir', dataDir]);
        assert.equal(second.code, 0, second.stderr);
        const nothing = await runCommand(['migrate', '--dry-run', '--data-dir', dataDir]);
        assert.equal(nothing.code, 0, nothing.stderr);
        const server = await Server.start({
            dataDir,
            env: { ...kUnlimited, NAVE_MIGRATE: 'manual' },
        });
        await server.finish();
        fs.rmSync(dataDir, { recursive: true });
    });

    test('NAVE_MIGRATE=manual refuses an old schema and names the command', async () => {
        const dataDir = temporaryDirectory('nave-manual');
        const { code, stderr } = await runCommand(
            ['serve', 'prekeys', '--listen', '127.0.0.1:0', '--data-dir', dataDir],
            { env: { NAVE_MIGRATE: 'manual' } },
        );
        assert.notEqual(code, 0);
        assert.match(stderr, /nave migrate/);
        fs.rmSync(dataDir, { recursive: true });
    });

    test('healthcheck follows the health of the server', async () => {
        const server = await Server.start({ env: { ...kUnlimited } });
        const check = () => runCommand(['healthcheck', '--url', `${server.url}/health`]);
        assert.equal((await check()).code, 0);
        await server.finish();
        assert.notEqual((await check()).code, 0);
    });

    test('doctor looks at a healthy data directory and finds nothing wrong', async () => {
        const server = await Server.start({ env: { ...kUnlimited } });
        const { dataDir } = server;
        server.ownsDataDir = false;
        await server.finish();
        const { code, stdout, stderr } = await runCommand(['doctor', '--data-dir', dataDir]);
        assert.equal(code, 0, stdout + stderr);
        fs.rmSync(dataDir, { recursive: true });
    });

    test('two servers on one SQLite file share the keys, none twice, or the second refuses', async () => {
        const first = await Server.start({ env: { ...kUnlimited } });
        const second = new Server({ env: { ...kUnlimited }, dataDir: first.dataDir });
        try {
            await second.launch();
        } catch (error) {
            assert.match(error.message, /lock|in use|running/i);
            await first.finish();
            return;
        }
        const apis = [new Api(first.url), new Api(second.url)];
        const device = new Device();
        expectOutcome(await apis[0].register(device, { oneTime: 40 }), 201);
        const bundles = await Promise.all(
            Array.from({ length: 40 }, (_, i) => apis[i % 2].bundle(device.address)),
        );
        expectDistinct(
            bundles.map((response) => expectOutcome(response, 200).oneTimePreKey.keyId),
            'key id',
        );
        await second.finish();
        await first.finish();
    });

    test('a busy port is one clear line', async () => {
        const server = await Server.start({ env: { ...kUnlimited } });
        const dataDir = temporaryDirectory('nave-port');
        const { code, stderr } = await runCommand([
            ...['serve', 'prekeys', '--listen', `127.0.0.1:${server.port}`, '--data-dir', dataDir],
        ]);
        assert.notEqual(code, 0);
        assert.match(stderr, new RegExp(`${server.port}`));
        await server.finish();
        fs.rmSync(dataDir, { recursive: true });
    });
});
