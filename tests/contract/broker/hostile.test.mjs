// What no honest client sends: odd frames, odd upgrades, bytes that are no messages. The broker
// answers as the contract says, closes what it must, and serves everybody else.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import WebSocket from 'ws';
import { metricsText, onEachBroker, sample, Scene, settled } from '../../support/broker_scene.mjs';
import { closePayload, frame, rawConnect } from '../../support/ws_echo.mjs';

const kMalformed = 'broker_messages_rejected_total{reason="parse_or_handler"}';

onEachBroker('hostile sockets', (context) => {
    const raw = (options) => rawConnect(context.server.port, options);
    const expectAlive = async () => {
        const scene = await Scene.make(context, 'ada');
        const peer = await scene.peer(scene.ada);
        assert.equal((await settled(peer)).peers.length, 1);
        await peer.close();
    };
    // An open socket that spoke raw frames, after its handshake.
    const opened = async (options) => {
        const peer = raw(options);
        assert.equal((await peer.head()).status, 101);
        return peer;
    };
    const expectClose = async (peer, code) => {
        const end = await peer.frame();
        assert.deepEqual([end?.opcode, end?.code], [8, code]);
        peer.socket.destroy();
    };

    for (const target of ['/ws/', '/ws?x=1', '/ws?', '/', '/health', '/WS', '/%77s', '/ws/ws']) {
        test(`an upgrade at ${target} is cut without an answer`, async () => {
            const peer = raw({ target });
            await peer.wait(() => undefined);
            assert.equal(peer.received.length, 0, peer.received.toString().slice(0, 100));
            await expectAlive();
        });
    }

    test('no subprotocol and no extension is agreed on', async () => {
        const peer = raw({
            lines: {
                'Sec-WebSocket-Protocol': 'chat, claudemesh',
                'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
            },
        });
        const head = await peer.head();
        assert.equal(head.status, 101);
        assert.doesNotMatch(head.text, /sec-websocket-(protocol|extensions)/i);
        peer.socket.destroy();
    });

    test('a page of any origin may connect, for a hello says who it is', async () => {
        const peer = await opened({ lines: { Origin: 'https://elsewhere.example' } });
        peer.socket.destroy();
    });

    test('a bad handshake is no server error', async () => {
        const wrong = [
            { 'Sec-WebSocket-Version': '12' },
            { 'Sec-WebSocket-Key': 'short' },
            { 'Sec-WebSocket-Key': undefined },
        ];
        for (const lines of wrong) {
            const peer = raw({ lines });
            const { status } = await peer.head();
            assert.ok(status >= 400 && status < 500, String(status));
            peer.socket.destroy();
        }
    });

    test('a compressed frame closes 1002', async () => {
        const peer = await opened();
        peer.socket.write(frame(1, '{"type":"list_peers"}', { rsv: 0x40 }));
        await expectClose(peer, 1002);
    });

    test('frames against the protocol close 1002', async () => {
        const wrong = [
            frame(1, 'x', { masked: false }),
            frame(3, 'x'),
            frame(0, 'x'),
            frame(9, 'x'.repeat(126)),
            frame(9, 'x', { fin: false }),
            frame(8, 'x'),
            frame(8, closePayload(1005)),
        ];
        for (const bytes of wrong) {
            const peer = await opened();
            peer.socket.write(bytes);
            await expectClose(peer, 1002);
        }
    });

    test('text that is no UTF-8 closes 1007', async () => {
        const peer = await opened();
        peer.socket.write(frame(1, Buffer.from([0x7b, 0xc3, 0x28])));
        await expectClose(peer, 1007);
    });

    test('a length beyond the limit closes 1009 before a byte of it has come', async () => {
        for (const length of [65_537, 1 << 30, 2 ** 62]) {
            const peer = await opened();
            peer.socket.write(frame(1, '', { length }));
            await expectClose(peer, 1009);
        }
    });

    test('fragments that are too long together close 1009', async () => {
        const peer = await opened();
        peer.socket.write(frame(1, 'x'.repeat(40_000), { fin: false }));
        peer.socket.write(frame(0, 'x'.repeat(40_000)));
        await expectClose(peer, 1009);
    });

    test('one message in many fragments, with pings between them, is one message', async () => {
        const peer = await opened();
        const text = JSON.stringify({ type: 'list_peers', _reqId: 'in parts' });
        [...text].forEach((letter, i) => {
            peer.socket.write(frame(i === 0 ? 1 : 0, letter, { fin: i === text.length - 1 }));
            if (i % 10 === 0) {
                peer.socket.write(frame(9, 'p'));
            }
        });
        for (;;) {
            const got = await peer.frame();
            if (got.opcode === 1) {
                const answer = JSON.parse(got.payload.toString());
                assert.deepEqual([answer.code, answer._reqId], ['no_hello', 'in parts']);
                break;
            }
            assert.equal(got.opcode, 10);
        }
        peer.socket.destroy();
    });

    test('a binary frame is parsed like text, before hello and after', async () => {
        const scene = await Scene.make(context, 'ada');
        const peer = await scene.stranger(scene.ada);
        const send = (message) => peer.socket.send(Buffer.from(JSON.stringify(message)));
        send({ type: 'list_peers', _reqId: 'early' });
        assert.equal((await peer.next((m) => m._reqId === 'early')).code, 'no_hello');
        send(peer.helloMessage());
        await peer.next((m) => m.type === 'hello_ack');
        send({ type: 'list_peers', _reqId: 'late' });
        assert.equal((await peer.next((m) => m._reqId === 'late')).peers.length, 1);
        // Bytes that are no UTF-8 are malformed, nothing more.
        const before = await sample(context, kMalformed);
        peer.socket.send(Buffer.from([0x7b, 0xc3, 0x28, 0x7d]));
        await settled(peer);
        assert.equal(await sample(context, kMalformed), before + 1);
    });

    test('JSON that is hard on a parser', async () => {
        const scene = await Scene.make(context, 'ada');
        const peer = await scene.peer(scene.ada);
        const before = await sample(context, kMalformed);
        const malformed = [
            '['.repeat(60_000),
            '{"a":'.repeat(10_000),
            `${'{"type":"list_peers","x":'}${'['.repeat(40)}${']'.repeat(40)}}`,
            '{"type":"list_peers"',
            '{"type":"list_peers"} {}',
            '{"type":"list_peers",}',
            "{'type':'list_peers'}",
            '{"type":"list_peers","x":1e}',
            '{"type":"list_peers","x":"\\ud800"}',
            '{"type":"list_peers","x":"a\u0000b"}',
            `{"type":"list_peers","x":${'9'.repeat(10_000)}e99999999999}`,
            '\ufeff{"type":"list_peers"}',
        ];
        malformed.forEach((text) => peer.socket.send(text));
        const { peers } = await settled(peer);
        assert.equal(peers.length, 1);
        assert.equal(peer.messages.length, 2, 'the ack of hello and the list');
        assert.equal(await sample(context, kMalformed), before + malformed.length);
    });

    test('members named like those of every object, and repeated ones', async () => {
        const scene = await Scene.make(context, 'ada');
        const peer = await scene.peer(scene.ada);
        peer.socket.send(
            '{"__proto__":{"type":"x"},"constructor":1,"type":"list_peers","_reqId":"odd"}',
        );
        assert.equal((await peer.next((m) => m._reqId === 'odd')).type, 'peers_list');
        peer.socket.send('{"type":"set_summary","type":"list_peers","_reqId":"twice"}');
        await settled(peer);
        assert.equal(peer.end, undefined);
    });

    test('a `_reqId` that is no string or too long is not echoed', async () => {
        const scene = await Scene.make(context, 'ada');
        const peer = await scene.peer(scene.ada);
        for (const _reqId of [5, null, {}, ['x'], 'x'.repeat(257)]) {
            peer.send({ type: 'list_peers', _reqId });
        }
        await settled(peer);
        const echoed = peer.messages.filter((m) => m._reqId !== undefined);
        assert.equal(echoed.length, 1);
    });

    test('requests before hello are refused and leave no trace', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const bob = await scene.peer(scene.bob);
        const stranger = await scene.stranger(scene.ada);
        const requests = [
            { type: 'send', targetSpec: bob.key, nonce: '', ciphertext: 'x' },
            { type: 'set_state', key: 'k', value: 1 },
            { type: 'join_group', name: 'g' },
            { type: 'client_ack', brokerMessageId: 'x' },
            { type: 'kick', all: true },
            { type: 'remember', content: 'x' },
        ];
        for (const request of requests) {
            assert.equal((await stranger.request(request)).code, 'no_hello');
        }
        assert.equal((await settled(bob)).peers.length, 1);
        const { value } = await bob.request({ type: 'get_state', key: 'k' });
        assert.equal(value, null);
        assert.equal(bob.pushes().length, 0);
    });

    test('ten thousand requests at once are answered in order', async () => {
        const scene = await Scene.make(context, 'ada');
        const peer = await scene.peer(scene.ada);
        const count = 10_000;
        for (let i = 0; i < count; i += 1) {
            peer.send({ type: i % 2 === 0 ? 'list_peers' : 'nothing known', _reqId: `n${i}` });
        }
        await peer.next((m) => m._reqId === `n${count - 2}`, 60_000);
        const numbers = peer.messages.filter((m) => m._reqId).map((m) => Number(m._reqId.slice(1)));
        assert.deepEqual(
            numbers,
            Array.from({ length: count / 2 }, (_, i) => 2 * i),
        );
    });

    test('pongs that nobody asked for settle nothing', async () => {
        const scene = await Scene.make(context, 'ada', 'bob');
        const bob = await scene.peer(scene.bob);
        const deaf = await scene.peer(scene.ada, { autoPong: false });
        for (const payload of ['1000000', '-1', '', 'x'.repeat(125), '18446744073709551616']) {
            deaf.socket.pong(payload);
        }
        const ack = await bob.envelope(deaf.key, 'unread');
        await deaf.push('unread');
        deaf.socket.pong('99');
        await settled(deaf);
        const { messageId } = ack;
        const status = await bob.request({ type: 'message_status', messageId });
        assert.equal(status.delivered, false);
        await deaf.cut();
        const back = await scene.peer(scene.ada, { sessionId: deaf.sessionId });
        await back.push('unread');
    });

    test('hundreds of sockets that never say hello disturb nobody', async () => {
        const url = `${context.server.url.replace('http', 'ws')}/ws`;
        const silent = Array.from({ length: 300 }, () => new WebSocket(url));
        silent.forEach((socket) => socket.on('error', () => undefined));
        // They may not stay: ten seconds without a hello, and they are closed.
        await Promise.all(silent.map((socket) => once(socket, 'open')));
        await expectAlive();
        assert.match(await metricsText(context), /^broker_connections_total \d+$/m);
        silent.forEach((socket) => socket.terminate());
    });

    test('half a handshake, half a frame, and gone', async () => {
        const half = net.connect(context.server.port, '127.0.0.1');
        half.on('error', () => undefined);
        half.write('GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websoc');
        half.destroySoon();
        const peer = await opened();
        peer.socket.write(frame(1, 'x'.repeat(1_000)).subarray(0, 500));
        peer.socket.resetAndDestroy();
        await expectAlive();
    });
});
