// The WebSocket layer against a real peer (the npm package ws) and against frames no real peer
// sends. The server is tests/support/ws_echo.cc.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { until } from '../../support/server.mjs';
import { EchoServer, closePayload, echoBinary, frame, rawConnect } from '../../support/ws_echo.mjs';

const missing = !fs.existsSync(echoBinary());
if (missing && process.env.NAVE_REQUIRE_SERVICES) {
    throw new Error(`no echo server at ${echoBinary()}`);
}
const options = {
    skip: missing ? `NOT RUN: no echo server at ${echoBinary()}` : false,
    timeout: 60_000,
};

let server;
before(async () => {
    if (!missing) {
        server = await EchoServer.start();
    }
});
after(async () => {
    server?.child.kill('SIGKILL');
    await server?.exited;
});

const kText = 1;
const kBinary = 2;
const kClose = 8;
const kPing = 9;
const kPong = 10;

async function connect(target = '/ws', { protocols = [], ...rest } = {}) {
    const socket = new WebSocket(server.url(target), protocols, rest);
    await once(socket, 'open');
    return socket;
}
async function received(socket, count) {
    const messages = [];
    await new Promise((resolve, reject) => {
        const onClose = (code) => reject(new Error(`closed ${code}`));
        const onMessage = (data, isBinary) => {
            messages.push(isBinary ? data : data.toString());
            if (messages.length === count) {
                socket.off('close', onClose).off('message', onMessage);
                resolve();
            }
        };
        socket.on('close', onClose).on('message', onMessage);
    });
    return messages;
}
async function finish(socket, code = 1000) {
    socket.close(code);
    await once(socket, 'close');
}

test('messages of all sizes come back as they are', options, async () => {
    const socket = await connect();
    for (const size of [0, 1, 125, 126, 127, 65535, 65536, 300_000, 1 << 20]) {
        const payload = crypto.randomBytes(size);
        const answer = received(socket, 1);
        socket.send(payload);
        assert.ok(payload.equals((await answer)[0]), `${size} bytes`);
    }
    for (const text of ['', 'hello', 'κόσμε € 𐍈 😀', 'ä'.repeat(200_000)]) {
        const answer = received(socket, 1);
        socket.send(text);
        assert.equal((await answer)[0], text);
    }
    await finish(socket);
});

test('many messages at once keep their order', options, async () => {
    const socket = await connect();
    const sent = Array.from({ length: 20_000 }, (_, i) => `${i}${'.'.repeat(i % 300)}`);
    const answers = received(socket, sent.length);
    sent.forEach((message) => socket.send(message));
    assert.deepEqual(await answers, sent);
    await finish(socket);
});

test('fragments with pings between them are one message', options, async () => {
    const socket = await connect();
    const pongs = [];
    socket.on('pong', (data) => pongs.push(data.toString()));
    const answer = received(socket, 1);
    socket.send('κό', { fin: false });
    socket.ping('one');
    socket.send('σμ', { fin: false });
    socket.ping('two');
    socket.send('ε', { fin: true });
    assert.equal((await answer)[0], 'κόσμε');
    assert.deepEqual(pongs, ['one', 'two']);
    await finish(socket);
});

test('compression is offered and not taken', options, async () => {
    const socket = await connect('/ws', { perMessageDeflate: true });
    assert.equal(socket.extensions, '');
    const answer = received(socket, 1);
    socket.send('a'.repeat(10_000));
    assert.equal((await answer)[0].length, 10_000);
    await finish(socket);
});

test('the first known subprotocol is selected', options, async () => {
    const socket = await connect('/ws', { protocols: ['other', 'echo.v2', 'echo.v1'] });
    assert.equal(socket.protocol, 'echo.v2');
    await finish(socket);
});

test('a refusal is an ordinary answer', options, async () => {
    const socket = new WebSocket(server.url('/refused'));
    socket.on('error', () => {});
    const [, response] = await once(socket, 'unexpected-response');
    assert.equal(response.statusCode, 401);
    response.destroy();
});

test('either side closes, with code and reason', options, async () => {
    for (const code of [1000, 1001, 1008, 1011, 3000, 4001, 4999]) {
        const socket = await connect();
        socket.send(`/close ${code} because`);
        const [got, reason] = await once(socket, 'close');
        assert.equal(got, code);
        assert.equal(reason.toString(), 'because');
    }
    const socket = await connect();
    socket.close(4321, 'mine');
    const [got] = await once(socket, 'close');
    assert.equal(got, 4321);
    const silent = await connect();
    silent.close();
    assert.equal((await once(silent, 'close'))[0], 1005);
});

test('an exception in a handler ends only its own socket', options, async () => {
    const socket = await connect();
    socket.send('/throw');
    assert.equal((await once(socket, 'close'))[0], 1011);
    await finish(await connect());
});

test('a message over the limit', options, async () => {
    const socket = await connect('/small');
    socket.on('error', () => {});
    const answer = received(socket, 1);
    socket.send('x'.repeat(1000));
    assert.equal((await answer)[0].length, 1000);
    socket.send('x'.repeat(1001));
    assert.equal((await once(socket, 'close'))[0], 1009);
});

test('everybody in the room hears everything in order', options, async () => {
    const people = await Promise.all(Array.from({ length: 30 }, () => connect('/room')));
    const messages = Array.from({ length: 200 }, (_, i) => `${i}:${'m'.repeat((i * 37) % 5000)}`);
    const heard = people.map((socket) => received(socket, messages.length));
    messages.forEach((message) => people[0].send(message));
    for (const one of await Promise.all(heard)) {
        assert.deepEqual(one, messages);
    }
    people[3].terminate();
    await Promise.all(people.filter((_, i) => i !== 3).map((socket) => finish(socket)));
    await until(async () => (await server.stats()).open === 0);
});

test('a consumer that does not read is told 1013', options, async () => {
    const before = await server.stats();
    const socket = await connect('/small');
    socket.pause();
    const closed = once(socket, 'close');
    socket.send('/flood 20000 1000');
    await until(async () => (await server.stats()).slowConsumers > before.slowConsumers);
    socket.resume();
    assert.equal((await closed)[0], 1013);
});

test('a peer that is paused is held back, not lost', options, async () => {
    const socket = await connect();
    const answers = received(socket, 50);
    socket.send('/pause 300');
    for (let i = 0; i < 50; i += 1) {
        socket.send(crypto.randomBytes(20_000));
    }
    assert.equal((await answers).length, 50);
    await finish(socket);
});

test('pings are sent, and who does not answer is cut', options, async () => {
    const alive = await connect('/small');
    const dead = await connect('/small', { autoPong: false });
    let pings = 0;
    alive.on('ping', () => {
        pings += 1;
    });
    assert.equal((await once(dead, 'close'))[0], 1006);
    await until(() => pings >= 3);
    assert.equal(alive.readyState, WebSocket.OPEN);
    await finish(alive);
});

test('a plain request to a socket is told to upgrade', options, async () => {
    const response = await fetch(`http://127.0.0.1:${server.port}/ws`);
    assert.equal(response.status, 426);
    assert.equal(response.headers.get('upgrade'), 'websocket');
    assert.equal(response.headers.get('sec-websocket-version'), '13');
    assert.equal((await response.json()).code, 'net.upgrade_required');
});

test('bad handshakes are refused', options, async () => {
    for (const [lines, status] of [
        [{ 'Sec-WebSocket-Version': '8' }, 426],
        [{ 'Sec-WebSocket-Version': undefined }, 426],
        [{ 'Sec-WebSocket-Key': undefined }, 400],
        [{ 'Sec-WebSocket-Key': 'c2hvcnQ=' }, 400],
        [{ Connection: 'close' }, 426],
        [{ Upgrade: 'h2c' }, 426],
    ]) {
        const peer = rawConnect(server.port, { lines });
        assert.equal((await peer.head()).status, status, JSON.stringify(lines));
        peer.socket.destroy();
    }
});

test('below /strict every other upgrade is cut without an answer', options, async () => {
    for (const target of ['/strict', '/strict/', '/strict/ws?x=1', '/strict/ws/', '/strict/%77s']) {
        const peer = rawConnect(server.port, { target });
        assert.equal(await peer.head(), null, target);
        assert.equal(peer.received.length, 0, target);
    }
    await finish(await connect('/strict/ws'));
});

test('node http sees the upgrade as it should be', options, async () => {
    const request = http.get({
        port: server.port,
        host: '127.0.0.1',
        path: '/ws',
        headers: {
            connection: 'keep-alive, Upgrade',
            upgrade: 'WebSocket',
            'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
            'sec-websocket-version': '13',
        },
    });
    const [response, socket] = await once(request, 'upgrade');
    assert.equal(response.statusCode, 101);
    assert.equal(response.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    socket.destroy();
});

// What is sent; the codes or texts that come back. Frames behind a failure are never answered.
const kCases = {
    'unmasked text': [[frame(kText, 'x', { masked: false })], [1002]],
    'reserved bit 1': [[frame(kText, 'x', { rsv: 0x40 })], [1002]],
    'reserved bit 2': [
        [frame(kText, 'ok'), frame(kText, 'x', { rsv: 0x20 })],
        ['ok', 1002],
    ],
    'reserved bit 3 of a ping': [[frame(kPing, 'x', { rsv: 0x10 })], [1002]],
    'opcode 3': [[frame(3, 'x'), frame(kText, 'never')], [1002]],
    'opcode 15': [[frame(15, '')], [1002]],
    'ping over 125 bytes': [[frame(kPing, 'x'.repeat(126))], [1002]],
    'fragmented ping': [[frame(kPing, 'x', { fin: false })], [1002]],
    'continuation of nothing': [[frame(0, 'x')], [1002]],
    'text inside a message': [[frame(kText, 'x', { fin: false }), frame(kText, 'y')], [1002]],
    'unasked pong': [[frame(kPong, 'x'), frame(kText, 'ok')], ['ok']],
    'length of 63 bits': [[frame(kBinary, '', { length: 2n ** 63n - 1n })], [1009]],
    'length of 64 bits': [[frame(kBinary, '', { length: 2n ** 63n })], [1002]],
    'too big, by its header': [[frame(kBinary, '', { length: (1 << 20) + 1 })], [1009]],
    'too big over fragments': [
        [frame(kBinary, 'x', { fin: false }), frame(0, '', { length: 1 << 20 })],
        [1009],
    ],
    'overlong UTF-8': [[frame(kText, Buffer.from('c0af', 'hex'))], [1007]],
    surrogate: [[frame(kText, Buffer.from('eda080', 'hex'))], [1007]],
    'above U+10FFFF': [[frame(kText, Buffer.from('f4908080', 'hex'))], [1007]],
    'cut at the end': [[frame(kText, Buffer.from('e282', 'hex'))], [1007]],
    'cut between fragments': [
        [
            frame(kText, Buffer.from('e2', 'hex'), { fin: false }),
            frame(0, Buffer.from('82', 'hex'), { fin: false }),
            frame(0, Buffer.from('ac', 'hex')),
        ],
        ['€'],
    ],
    'wrong in half a frame': [[frame(kText, Buffer.from('ff', 'hex'), { length: 5000 })], [1007]],
    'close with one byte': [[frame(kClose, 'x')], [1002]],
    'close with a wrong reason': [[frame(kClose, closePayload(1000, Buffer.from([0xff])))], [1007]],
    'frames behind close': [[frame(kClose, closePayload(1000)), frame(kText, 'never')], [1000]],
    ...Object.fromEntries(
        [1000, 1003, 1007, 1014, 3000, 4999].map((code) => [
            `close ${code}`,
            [[frame(kClose, closePayload(code))], [code]],
        ]),
    ),
    ...Object.fromEntries(
        [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535].map((code) => [
            `close ${code}`,
            [[frame(kClose, closePayload(code))], [1002]],
        ]),
    ),
};

for (const pieces of ['at once', 'byte by byte']) {
    test(`frames no client should send, ${pieces}`, options, async () => {
        for (const [name, [sent, expected]] of Object.entries(kCases)) {
            const bytes = Buffer.concat(sent);
            const atOnce = pieces === 'at once';
            const peer = rawConnect(server.port, atOnce ? { first: bytes } : {});
            assert.equal((await peer.head()).status, 101);
            for (let i = 0; !atOnce && i < bytes.length && !peer.ended; i += 1) {
                peer.socket.write(bytes.subarray(i, i + 1));
                if (i % 8 === 7) {
                    await new Promise(setImmediate);
                }
            }
            const got = [];
            while (got.length < expected.length) {
                const one = await peer.frame();
                assert.ok(one, `${name}: ended after ${JSON.stringify(got)}`);
                assert.equal(one.first & 0xf0, 0x80);
                got.push(one.opcode === kClose ? one.code : one.payload.toString());
            }
            assert.deepEqual(got, expected, name);
            if (typeof expected.at(-1) === 'number') {
                assert.equal(await peer.frame(), null, `${name}: nothing behind the close`);
            }
            peer.socket.destroy();
        }
    });
}

test('a stop says goodbye to everybody and waits for their answer', options, async () => {
    const sockets = await Promise.all(Array.from({ length: 10 }, () => connect()));
    const closes = sockets.map((socket) => once(socket, 'close'));
    const ended = await server.stop();
    for (const [code, reason] of await Promise.all(closes)) {
        assert.equal(code, 1001);
        assert.equal(reason.toString(), 'shutting down');
    }
    assert.deepEqual(ended, { code: 0, signal: null, last: 'drained' });
});
