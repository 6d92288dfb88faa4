// Clients that are slow, idle or do not read: the server stays responsive, bounded and in order.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { describe, test } from 'node:test';
import { Api, b64, Device } from '../support/client.mjs';
import { expectOutcome } from '../support/expect.mjs';
import { Server, until } from '../support/server.mjs';
import { kUnlimited } from '../support/stores.mjs';

const kResponsiveMs = 1_000; // on average, on a busy machine
const kToken = 'observer-token-for-slow-readers';
const descriptors = Number(execFileSync('sh', ['-c', 'ulimit -n']).toString());
const kIdle = Math.min(10_000, descriptors - 1_000);

const connect = (port) =>
    new Promise((resolve, reject) => {
        const socket = net.connect(port, '127.0.0.1');
        socket.on('connect', () => resolve(socket));
        socket.on('error', reject);
        socket.setNoDelay(true);
    });
const closed = (socket) =>
    socket.closed ? true : new Promise((resolve) => socket.on('close', resolve));

// Opens connections in groups, so that the accept queue is not the thing under test.
async function connectMany(port, count) {
    const sockets = [];
    while (sockets.length < count) {
        const group = Math.min(200, count - sockets.length);
        const opened = await Promise.all(Array.from({ length: group }, () => connect(port)));
        opened.forEach((socket) => socket.on('error', () => undefined));
        sockets.push(...opened);
    }
    return sockets;
}

async function expectResponsive(api, device) {
    const start = Date.now();
    for (let i = 0; i < 20; i += 1) {
        expectOutcome(await api.request('GET', '/healthz'), 200);
        expectOutcome(await api.identityOf(device.address), 200);
    }
    const took = (Date.now() - start) / 40;
    assert.ok(took < kResponsiveMs, `answers take ${took} ms`);
}

const residentMb = (pid) =>
    Number(/VmRSS:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

async function withServer(env, run) {
    const server = await Server.start({ env: { ...kUnlimited, ...env } });
    try {
        const api = new Api(server.url);
        const device = new Device();
        expectOutcome(await api.register(device, { oneTime: 5 }), 201);
        await run(server, api, device);
        await expectResponsive(api, device);
    } catch (error) {
        server.dispose();
        throw error;
    }
    await server.finish();
}

describe('slow and idle clients', () => {
    test(`${kIdle} idle connections`, async (t) => {
        await withServer({}, async (server, api, device) => {
            const before = residentMb(server.child.pid);
            const sockets = await connectMany(server.port, kIdle);
            await expectResponsive(api, device);
            const grown = residentMb(server.child.pid) - before;
            t.diagnostic(`${((grown * 1024) / kIdle).toFixed(1)} KiB per idle connection`);
            assert.ok(grown < 400, `${kIdle} idle connections took ${grown} MiB`);
            sockets.forEach((socket) => socket.destroy());
        });
    });

    test('half a head from five hundred clients: they are dropped, nobody else notices', async () => {
        await withServer({}, async (server, api, device) => {
            const sockets = await connectMany(server.port, 500);
            const start = Date.now();
            // One byte a second keeps each connection busy without ever finishing the head.
            const head = 'GET /healthz HTTP/1.1\r\nHost: slow\r\nX-Slow: ';
            let sent = 0;
            const drip = setInterval(() => {
                const byte = head[sent] ?? 'a';
                sent += 1;
                sockets.forEach((socket) => socket.writable && socket.write(byte));
            }, 1_000);
            await expectResponsive(api, device);
            await Promise.all(sockets.map(closed));
            clearInterval(drip);
            const took = Date.now() - start;
            assert.ok(took < 120_000, `the slow clients were kept for ${took} ms`);
        });
    });

    test('a body that trickles in is given up', async () => {
        await withServer({}, async (server, api, device) => {
            const sockets = await connectMany(server.port, 50);
            sockets.forEach((socket) =>
                socket.write(
                    'POST /v1/keys/claim HTTP/1.1\r\nHost: slow\r\n' +
                        'Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{',
                ),
            );
            const drip = setInterval(() => {
                sockets.forEach((socket) => socket.writable && socket.write(' '));
            }, 1_000);
            await expectResponsive(api, device);
            const start = Date.now();
            await Promise.all(sockets.map(closed));
            clearInterval(drip);
            assert.ok(Date.now() - start < 180_000);
        });
    });

    test('a client that sends thousands of requests and reads nothing costs little memory', async (t) => {
        await withServer({}, async (server, api, device) => {
            const before = residentMb(server.child.pid);
            const sockets = await connectMany(server.port, 20);
            // A large answer each: 20 clients asking for 2,000 would be 5 GB.
            const request = 'GET /openapi.yaml HTTP/1.1\r\nHost: greedy\r\n\r\n';
            sockets.forEach((socket) => {
                socket.pause();
                socket.write(request.repeat(2_000));
            });
            await expectResponsive(api, device);
            const grown = residentMb(server.child.pid) - before;
            t.diagnostic(`${grown.toFixed(0)} MiB for 20 clients that do not read`);
            assert.ok(grown < 300, `grew by ${grown} MiB`);
            sockets.forEach((socket) => socket.destroy());
        });
    });

    test('pipelined requests are answered in order', async () => {
        await withServer({}, async (server) => {
            const socket = await connect(server.port);
            let text = '';
            socket.on('data', (chunk) => {
                text += chunk;
            });
            const ids = Array.from({ length: 300 }, (_, i) => `pipelined-${i}`);
            socket.write(
                ids
                    .map((id, i) => {
                        const last = i === ids.length - 1 ? 'Connection: close\r\n' : '';
                        return `GET /v1/keys/bundle/nobody-${i}:1 HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\n${last}\r\n`;
                    })
                    .join(''),
            );
            await closed(socket);
            const seen = [...text.matchAll(/^x-request-id: (\S+)/gim)].map(([, id]) => id);
            assert.deepEqual(seen, ids);
        });
    });

    test('connections beyond the limit are closed at once, and those within it are not', async () => {
        await withServer({ NAVE_MAX_CONNECTIONS: '100' }, async (server, api, device) => {
            await expectResponsive(api, device);
            const sockets = await connectMany(server.port, 200);
            await until(() => sockets.filter((socket) => socket.closed).length >= 100, {
                what: 'a hundred were refused',
            });
            const open = sockets.filter((socket) => !socket.closed);
            assert.ok(open.length >= 80, `${open.length} stay open`);
            open.forEach((socket) => socket.destroy());
            await until(async () => (await api.request('GET', '/healthz')).status === 200, {
                what: 'there is room again',
            });
        });
    });

    test('quiet event streams are kept alive by comments', async () => {
        await withServer({ SHADE_OBSERVER_TOKEN: kToken }, async (server, api, device) => {
            const observer = await api.stream('/shade-observer/api/events', {
                headers: { Authorization: `Bearer ${kToken}` },
            });
            const owner = await api.stream('/v1/keys/events', {
                headers: device.requestHeaders('GET', '/v1/keys/events'),
            });
            const before = [observer.comments, owner.comments];
            await until(() => observer.comments > before[0] && owner.comments > before[1], {
                deadlineMs: 60_000,
                everyMs: 100,
                what: 'a comment came within 15 seconds or so',
            });
            observer.close();
            owner.close();
        });
    });

    test('an event reader that does not read is dropped', async () => {
        await withServer({ SHADE_OBSERVER_TOKEN: kToken }, async (server, api, device) => {
            const socket = await connect(server.port);
            socket.on('error', () => undefined);
            socket.pause();
            socket.write(
                'GET /shade-observer/api/events HTTP/1.1\r\nHost: x\r\n' +
                    `Authorization: Bearer ${kToken}\r\n\r\n`,
            );
            const clients = async () => (await api.metrics()).get('shade_observer_clients');
            await until(async () => (await clients()) === 1, { what: 'the reader is there' });
            const claims = () =>
                Array.from({ length: 50 }, () => ({
                    address: device.address,
                    claimId: b64(Buffer.from(`${Math.random()}`.padEnd(16, '0').slice(0, 16))),
                }));
            await until(
                async () => {
                    for (let i = 0; i < 20; i += 1) {
                        expectOutcome(await api.claim(claims()), 200);
                    }
                    return (await clients()) === 0;
                },
                { deadlineMs: 240_000, everyMs: 1, what: 'the reader was dropped' },
            );
            socket.destroy();
        });
    });
});
