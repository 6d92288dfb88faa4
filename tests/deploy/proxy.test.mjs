// deploy/proxy in front of the real server, over TLS: what deploy/README.md promises of reverse
// proxies, by nginx and by Caddy. Traefik is not in Debian: its files are only read.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import { after, before, describe, test } from 'node:test';
import YAML from 'yaml';
import { BrokerAdmin, Peer } from '../support/broker_peer.mjs';
import { Api, Device, EventStream, exchange } from '../support/client.mjs';
import { expectOutcome } from '../support/expect.mjs';
import { Server, until } from '../support/server.mjs';
import { kBrokerAdminToken } from '../support/stores.mjs';
import { freePort, proxyMissing, TlsProxy } from '../support/tls_proxy.mjs';

const kObserverToken = 'observer-token-of-the-proxy-tests';
const kEvents = '/prekeys/shade-observer/api/events';
const kDashboard = '/prekeys/shade-observer/dashboard/';
const kFetches = 8; // per client address in the server under test
const kSettings = {
    SHADE_TRUSTED_PROXIES: '127.0.0.1',
    SHADE_OBSERVER_TOKEN: kObserverToken,
    SHADE_LIMIT_FETCH: `${kFetches}/h`,
    SHADE_LIMIT_REGISTER: '1000/h',
    BROKER_ADMIN_TOKEN: kBrokerAdminToken,
};

// Names and counts of header fields as they were on the wire.
const countOf = (rawHeaders, name) =>
    rawHeaders.filter((text, i) => i % 2 === 0 && text.toLowerCase() === name).length;

// A request whose answer keeps its raw header fields; `chunks` are sent without a length.
function request(proxy, method, target, { headers = {}, body, chunks, from } = {}) {
    return new Promise((resolve, reject) => {
        const call = https.request(
            {
                host: 'localhost',
                port: proxy.port,
                method,
                path: target,
                agent: false,
                headers: { ...headers, ...(body && { 'Content-Length': body.length }) },
                ...proxy.transport(from),
            },
            (response) => {
                const parts = [];
                response.on('data', (part) => parts.push(part));
                response.on('error', () => undefined);
                response.on('close', () =>
                    resolve({
                        status: response.statusCode,
                        headers: response.headers,
                        rawHeaders: response.rawHeaders,
                        text: Buffer.concat(parts).toString(),
                    }),
                );
            },
        );
        call.setTimeout(30_000, () => call.destroy(new Error(`${method} ${target}: no answer`)));
        // A proxy that has refused a body may close before it was sent whole.
        call.on('error', (error) => call.res ?? reject(error));
        chunks?.forEach((chunk) => call.write(chunk));
        call.end(body);
    });
}

const fetchUnknown = (proxy, options) =>
    request(proxy, 'GET', '/prekeys/v1/keys/bundle/nobody%3A1', options);

for (const kind of ['nginx', 'caddy']) {
    describe(`${kind} in front of the server`, { skip: proxyMissing(kind) }, () => {
        let proxy;
        let server;
        let listen;
        const start = () => Server.start({ services: [], env: kSettings, listen });
        // The observer's events, without what was there before.
        const watch = () =>
            EventStream.open(proxy.url, kEvents, {
                headers: { Authorization: `Bearer ${kObserverToken}` },
                transport: proxy.transport(),
            });
        const through = (options) =>
            new Api(proxy.url, { prefix: '/prekeys', transport: proxy.transport(), ...options });

        before(async () => {
            listen = `127.0.0.1:${await freePort()}`;
            proxy = await TlsProxy.start(kind, listen);
        });
        after(async () => {
            await server?.finish();
            await proxy?.finish();
        });

        test('502 while the server is not there, then it is served without a restart', async () => {
            const nobody = await until(
                async () => {
                    const answer = await request(proxy, 'GET', '/healthz');
                    return answer.status === 502 && answer;
                },
                { what: '502' },
            );
            assert.equal(countOf(nobody.rawHeaders, 'strict-transport-security'), 1);
            assert.equal(countOf(nobody.rawHeaders, 'x-content-type-options'), 1);
            server = await start();
            await until(async () => (await request(proxy, 'GET', '/healthz')).status === 200, {
                what: 'the server is served',
            });
        });

        test('signed requests keep their path, prefix and encoding included', async () => {
            const device = new Device({ address: `${kind}:1` });
            const api = through();
            expectOutcome(await api.register(device, { scheme: 'B', oneTime: 3 }), 201);
            const first = kind.charCodeAt(0).toString(16);
            const spellings = [`${kind}:1`, `${kind}%3A1`, `%${first}${kind.slice(1)}%3a1`];
            for (const spelling of spellings) {
                const bundle = await api.signed(device, 'GET', `/v1/keys/bundle/${spelling}`);
                assert.equal(expectOutcome(bundle, 200, spelling).address, device.address);
            }
        });

        test('HTTP/2, a stream on it too', async () => {
            const session = http2.connect(proxy.url, { ca: proxy.authority });
            const open = (target, headers = {}) => session.request({ ':path': target, ...headers });
            try {
                const stream = open(kEvents, { authorization: `Bearer ${kObserverToken}` });
                let seen = '';
                stream.setEncoding('utf8').on('data', (text) => (seen += text));
                const status = await new Promise((resolve, reject) => {
                    stream.on('response', (headers) => resolve(headers[':status']));
                    stream.on('error', reject);
                });
                assert.equal(status, 200);
                assert.equal(session.alpnProtocol, 'h2');
                const device = new Device();
                expectOutcome(await through().register(device), 201);
                await until(() => /event: \S*regist/.test(seen), { what: 'an event over HTTP/2' });
            } finally {
                session.destroy();
            }
        });

        test('server-sent events arrive one by one', async () => {
            const stream = await watch();
            assert.equal(stream.status, 200);
            assert.match(stream.headers['content-type'], /^text\/event-stream/);
            // The next thing happens only once the last was seen, so nothing may wait for company.
            const registrations = () => stream.events.filter(({ event }) => /regist/.test(event));
            for (let i = 1; i <= 5; i += 1) {
                expectOutcome(await through().register(new Device()), 201);
                await until(() => registrations().length >= i, { what: `event ${i}` });
                assert.equal(registrations().length, i);
            }
            stream.close();
        });

        test('a broker peer says hello and gets an envelope', async () => {
            const admin = new BrokerAdmin(`${server.url}/broker`, kBrokerAdminToken);
            const mesh = await admin.createMesh();
            const url = `${proxy.url}/broker`;
            const options = { transport: proxy.transport() };
            const ada = await Peer.connect(url, await admin.member(mesh, 'ada'), options);
            const bob = await Peer.connect(url, await admin.member(mesh, 'bob'), options);
            const text = 'Y'.repeat(60_000);
            const ack = await ada.envelope(bob.key, text);
            assert.equal(ack.type, 'ack');
            assert.equal((await bob.push(text)).senderMemberPubkey, ada.member.keys.hex);
            await Promise.all([ada.close(), bob.close()]);
        });

        test('clients are told apart by their own address, and cannot say another', async () => {
            const mean = { from: '127.0.0.2' };
            let served = 0;
            let answer;
            do {
                // Each request claims to come from somewhere else, in every way there is.
                const lie = `198.51.100.${served + 1}`;
                const headers = {
                    'X-Forwarded-For': lie,
                    'X-Real-IP': lie,
                    'True-Client-IP': lie,
                    'CF-Connecting-IP': lie,
                    Forwarded: `for=${lie}`,
                };
                answer = await fetchUnknown(proxy, { ...mean, headers });
                served += answer.status === 404 ? 1 : 0;
            } while (answer.status === 404 && served <= 2 * kFetches);
            assert.equal(answer.status, 429, `after ${served} fetches`);
            assert.equal(served, kFetches);
            assert.equal((await fetchUnknown(proxy, { from: '127.0.0.3' })).status, 404);
            // Nor can it use up what is another's.
            for (let i = 0; i < 2 * kFetches; i += 1) {
                await fetchUnknown(proxy, { ...mean, headers: { 'X-Forwarded-For': '127.0.0.4' } });
            }
            assert.equal((await fetchUnknown(proxy, { from: '127.0.0.4' })).status, 404);
        });

        test('bodies: what the server takes goes through, more gets 413', async () => {
            const upload = (size, chunked) => {
                const body = Buffer.from(`{"address":"${'x'.repeat(size)}"}`);
                const pieces = { chunks: [body.subarray(0, 1000), body.subarray(1000)] };
                return request(proxy, 'POST', '/prekeys/v1/keys/register', {
                    headers: { 'Content-Type': 'application/json' },
                    ...(chunked ? pieces : { body }),
                });
            };
            assert.equal((await upload(500_000)).status, 400, 'read, and found wrong');
            assert.equal((await upload(500_000, true)).status, 400, 'in pieces');
            assert.equal((await upload(600_000)).status, 413);
            assert.equal((await upload(600_000, true)).status, 413, 'in pieces');
        });

        test('security headers are there once, the proxy\'s and the server\'s', async () => {
            const everywhere = ['strict-transport-security', 'x-content-type-options'];
            const ofPages = [
                'content-security-policy',
                'x-frame-options',
                'referrer-policy',
                'cross-origin-opener-policy',
                'permissions-policy',
            ];
            for (const [target, names, status] of [
                ['/healthz', everywhere, 200],
                [kDashboard, [...everywhere, ...ofPages], 200],
                ['/nowhere', everywhere, 404],
                ['/metrics', everywhere, 404],
            ]) {
                const answer = await request(proxy, 'GET', target);
                assert.equal(answer.status, status, target);
                for (const name of names) {
                    assert.equal(countOf(answer.rawHeaders, name), 1, `${target}: ${name}`);
                }
                assert.doesNotMatch(answer.headers.server ?? '', /\d/, 'versions');
            }
        });

        test('what is for operators cannot be reached, however it is spelt', async () => {
            const spellings = [
                ...['/metrics', '/prekeys/metrics', '/broker/metrics', '/metrics/'],
                ...['/%6detrics', '/%6Detrics', '//metrics', '/./metrics', '/x/../metrics'],
                ...['/prekeys//metrics', '/prekeys/../metrics', '/prekeys/%2e%2e/metrics'],
                ...['/metrics?x=/prekeys', '/metrics%3F', '/metrics;x', '/metrics%00', '/METRICS'],
                ...['/broker/admin/meshes', '/broker/%61dmin/meshes', '/broker//admin/meshes'],
                ...['/healthz/../metrics', '/healthz%2f..%2fmetrics', '/admin/../metrics'],
            ];
            for (const target of spellings) {
                const answer = await request(proxy, 'GET', target, {
                    headers: { Authorization: `Bearer ${kBrokerAdminToken}` },
                });
                assert.ok([400, 404].includes(answer.status), `${target}: ${answer.status}`);
                assert.doesNotMatch(answer.text, /# HELP|"meshes"/, target);
            }
            // The same is there for who asks the server itself.
            assert.equal((await exchange(server.url, 'GET', '/metrics')).status, 200);
            // And what clients and monitors use from outside goes through.
            for (const target of ['/ready', '/healthz', '/health', '/broker/health']) {
                assert.equal((await request(proxy, 'GET', target)).status, 200, target);
            }
            const hook = await request(proxy, 'POST', '/broker/hook/set-status', {
                headers: { 'Content-Type': 'application/json' },
                body: Buffer.from('{"cwd":"/srv/project","pid":1,"status":"idle"}'),
            });
            assert.equal(hook.status, 200, hook.text);
        });

        test('plain HTTP is sent to HTTPS', async () => {
            const plain = `http://127.0.0.1:${proxy.httpPort}`;
            const answer = await exchange(plain, 'GET', '/docs?x=1', {
                headers: { Host: 'localhost' },
            });
            assert.equal(answer.status, 308);
            assert.match(answer.headers.location, /^https:\/\/localhost(:\d+)?\/docs\?x=1$/);
        });

        test('a server that dies is 502 until it is back', async () => {
            await server.kill();
            await until(async () => (await request(proxy, 'GET', '/healthz')).status === 502, {
                what: '502',
            });
            await server.launch();
            await until(async () => (await request(proxy, 'GET', '/healthz')).status === 200, {
                what: 'the server is back',
            });
        });
    });
}

// What is wrong with Traefik's two files; what else its schema allows is not looked at.
function traefikProblems(fixed, routes) {
    const problems = [];
    const expect = (holds, what) => holds || problems.push(what);
    const { routers, middlewares, services, serversTransports } = routes.http;
    for (const [name, router] of Object.entries(routers)) {
        expect(router.service in services, `${name}: service`);
        expect(
            router.entryPoints.every((entry) => fixed.entryPoints[entry]?.http.tls),
            `${name}: only over TLS`,
        );
        expect(
            router.middlewares.every((used) => used in middlewares),
            `${name}: middlewares`,
        );
        expect(router.middlewares.includes('nave-security'), `${name}: security headers`);
    }
    const kinds = Object.values(middlewares).flatMap((middleware) => Object.keys(middleware));
    expect(!kinds.includes('buffering'), 'buffering holds streams back');
    expect(!kinds.some((kind) => /prefix|path/i.test(kind)), 'paths are signed');
    expect(middlewares['nave-security'].headers.stsSeconds >= 31536000, 'strict transport');
    const { loadBalancer } = services.nave;
    expect(loadBalancer.passHostHeader === true, 'the host is passed on');
    expect(loadBalancer.serversTransport in serversTransports, 'transport');
    expect(routers['nave-private'].priority > routers.nave.rule.length, 'private paths come first');
    expect(routers['nave-private'].middlewares.includes('nave-nobody'), 'private paths are closed');
    for (const [name, entry] of Object.entries(fixed.entryPoints)) {
        expect(!entry.forwardedHeaders, `${name}: X-Forwarded-For of clients is dropped`);
        const { tls, redirections } = entry.http;
        expect(tls || redirections?.entryPoint.scheme === 'https', `${name}: TLS or sent there`);
        expect(!tls || tls.certResolver in fixed.certificatesResolvers, `${name}: resolver`);
        expect(
            (entry.transport?.respondingTimeouts.writeTimeout ?? '0s') === '0s',
            `${name}: streams are not cut`,
        );
    }
    expect(!fixed.api?.insecure, 'no open dashboard');
    return problems;
}

describe('Traefik', () => {
    const shipped = (name) =>
        fs.readFileSync(new URL(`../../deploy/proxy/${name}`, import.meta.url), 'utf8');
    const files = () =>
        ['traefik.yml', 'traefik-nave.yml'].map((name) => YAML.parse(shipped(name)));

    test('its files hold together, and say what the other proxies do', () => {
        assert.deepEqual(traefikProblems(...files()), []);
        const [, { http }] = files();
        const [, pattern] = /PathRegexp\(`(.*)`\)/.exec(http.routers['nave-private'].rule);
        assert.ok(shipped('nginx.conf').includes(`location ~ ${pattern} {`), 'nginx');
        assert.ok(shipped('Caddyfile').includes(`path_regexp ${pattern}\n`), 'Caddy');
        assert.equal(http.services.nave.loadBalancer.servers[0].url, 'http://127.0.0.1:8081');
    });

    test('the check sees what is wrong', () => {
        const breakings = [
            (fixed) => (fixed.entryPoints.websecure.forwardedHeaders = { insecure: true }),
            (fixed) => delete fixed.entryPoints.websecure.http.tls,
            (fixed) => {
                fixed.entryPoints.websecure.transport.respondingTimeouts.writeTimeout = '9s';
            },
            (fixed, { http }) => (http.middlewares.limit = { buffering: {} }),
            (fixed, { http }) => (http.middlewares.strip = { stripPrefix: {} }),
            (fixed, { http }) => delete http.routers['nave-private'].priority,
            (fixed, { http }) => http.routers['nave-private'].middlewares.pop(),
            (fixed, { http }) => (http.routers.nave.service = 'other'),
        ];
        for (const breaking of breakings) {
            const [fixed, routes] = files();
            breaking(fixed, routes);
            assert.notDeepEqual(traefikProblems(fixed, routes), [], String(breaking));
        }
    });
});
